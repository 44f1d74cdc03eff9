import Contracts
import Cryptography
import Ledger
import TestSupport
import Wire

private let east = Consortium.east
private let readers = Array(Consortium.readers(of: east).prefix(2))
private let (first, second) = (readers[0], readers[1])
private let stranger = AccountID(.annotator, "north-1")
private let short = [UInt8](repeating: 1, count: 31)

/// `east/1` is registered at height 2 for two readers: commits to 6, reveals from 7 to 9.
private func registered(_ consortium: inout Consortium) throws -> ItemID {
    let item = try itemID("east/1")
    try consortium.register([item], readers: readers, by: east)
    return item
}

/// As ``registered(_:)``, with the first reader's commitment to grade 3 at height 3.
private func committed(_ consortium: inout Consortium) throws -> ItemID {
    let item = try registered(&consortium)
    try consortium.applied([consortium.commit(item, 3, by: first)], by: first, at: 3)
    return item
}

/// As ``committed(_:)``, with both readers' commitments; reveals from 4 to 6.
private func allCommitted(_ consortium: inout Consortium) throws -> ItemID {
    let item = try committed(&consortium)
    try consortium.applied([consortium.commit(item, 4, by: second)], by: second, at: 3)
    return item
}

/// Committed, revealed by both, and closed at height 4.
private func closed(_ consortium: inout Consortium) throws -> ItemID {
    let item = try registered(&consortium)
    try consortium.annotate([item: [first: 3, second: 4]])
    return item
}

extension TransitionTests {
    static let annotationRows = [
        TransitionRow(.malformedField, "a commitment to no item") {
            try $0.outcome(.commit("east", short), by: stranger)
        },
        TransitionRow(.malformedField, "a commitment of 31 bytes") {
            try $0.outcome(.commit("east/9", short), by: stranger)
        },
        TransitionRow(.unknownItem, "a commitment to an unknown item") {
            try $0.outcome(.commit("east/9", named("c")), by: stranger)
        },
        TransitionRow(.notAssigned, "a commitment by another site's reader, after the close") {
            let item = try closed(&$0)
            return try $0.outcome($0.commit(item, 3, by: stranger), by: stranger)
        },
        TransitionRow(.notAssigned, "a commitment by the registering site") {
            let item = try registered(&$0)
            return try $0.outcome(.commit(item.text, named("c")), by: east)
        },
        TransitionRow(.itemClosed, "a second commitment after the close") {
            let item = try closed(&$0)
            return try $0.outcome($0.commit(item, 3, by: first), by: first, at: 20)
        },
        TransitionRow(.alreadyCommitted, "a second commitment after the window") {
            let item = try committed(&$0)
            return try $0.outcome($0.commit(item, 4, by: first), by: first, at: 7)
        },
        TransitionRow(.commitWindowOver, "a first commitment after the window") {
            let item = try committed(&$0)
            return try $0.outcome($0.commit(item, 4, by: second), by: second, at: 7)
        },
        TransitionRow(nil, "a commitment at the last height of the window") {
            let item = try committed(&$0)
            return try $0.outcome($0.commit(item, 4, by: second), by: second, at: 6)
        },
        TransitionRow(.malformedField, "a reveal for no item") {
            try $0.outcome(.reveal("east", 9, salt: named("s")), by: stranger)
        },
        TransitionRow(.malformedField, "a salt of 31 bytes") {
            try $0.outcome(.reveal("east/9", 9, salt: short), by: stranger)
        },
        TransitionRow(.unknownItem, "a reveal for an unknown item") {
            try $0.outcome(.reveal("east/9", 9, salt: named("s")), by: stranger)
        },
        TransitionRow(.notAssigned, "a reveal by another site's reader, after the close") {
            let item = try closed(&$0)
            return try $0.outcome($0.reveal(item, 9, by: stranger), by: stranger)
        },
        TransitionRow(.itemClosed, "a second reveal after the close") {
            let item = try closed(&$0)
            return try $0.outcome($0.reveal(item, 9, by: first), by: first)
        },
        TransitionRow(.notCommitted, "a reveal without a commitment, too early") {
            let item = try committed(&$0)
            return try $0.outcome($0.reveal(item, 9, by: second), by: second)
        },
        TransitionRow(.alreadyRevealed, "a second reveal, after the window") {
            let item = try allCommitted(&$0)
            try $0.applied([$0.reveal(item, 3, by: first)], by: first, at: 4)
            return try $0.outcome($0.reveal(item, 9, by: first), by: first, at: 7)
        },
        TransitionRow(.revealNotOpen, "a reveal at the last height for commitments") {
            let item = try committed(&$0)
            return try $0.outcome($0.reveal(item, 9, by: first), by: first, at: 6)
        },
        TransitionRow(.revealNotOpen, "a reveal at the height of the last commitment") {
            let item = try allCommitted(&$0)
            return try $0.outcome($0.reveal(item, 9, by: first), by: first, at: 3)
        },
        TransitionRow(.revealWindowOver, "a reveal after the window") {
            let item = try committed(&$0)
            return try $0.outcome($0.reveal(item, 9, by: first), by: first, at: 10)
        },
        TransitionRow(.gradeOutOfRange, "grade 0") {
            let item = try allCommitted(&$0)
            return try $0.outcome($0.reveal(item, 0, by: first), by: first)
        },
        TransitionRow(.gradeOutOfRange, "grade 6 of 5") {
            let item = try allCommitted(&$0)
            return try $0.outcome($0.reveal(item, 6, by: first), by: first)
        },
        TransitionRow(.answerMalformed, "the right grade, and a measurement that does not open") {
            let item = try allCommitted(&$0)
            var reveal = try $0.reveal(item, 4, by: first)
            reveal.answerReveal.measurement = 0
            return try $0.outcome(reveal, by: first)
        },
        TransitionRow(.doesNotOpen, "another grade") {
            let item = try allCommitted(&$0)
            return try $0.outcome($0.reveal(item, 4, by: first), by: first)
        },
        TransitionRow(.doesNotOpen, "another salt") {
            let item = try allCommitted(&$0)
            return try $0.outcome(.reveal(item.text, 3, salt: named("s")), by: first)
        },
        TransitionRow(nil, "a reveal at the last height of the window") {
            let item = try allCommitted(&$0)
            return try $0.outcome($0.reveal(item, 3, by: first), by: first, at: 6)
        },
    ]

    static let closingRows = [
        TransitionRow(.malformedField, "a close of no item") {
            try $0.outcome(.closeItem("east"), by: first)
        },
        TransitionRow(.unknownItem, "a close of an unknown item") {
            try $0.outcome(.closeItem("east/9"), by: first)
        },
        TransitionRow(.itemClosed, "a second close") {
            let item = try closed(&$0)
            return try $0.outcome(.closeItem(item.text), by: first)
        },
        TransitionRow(.itemNotReady, "commitments are still awaited") {
            let item = try registered(&$0)
            return try $0.outcome(.closeItem(item.text), by: first, at: 6)
        },
        TransitionRow(.itemNotReady, "a reveal is still awaited") {
            let item = try committed(&$0)
            return try $0.outcome(.closeItem(item.text), by: first, at: 9)
        },
        TransitionRow(nil, "nobody committed") {
            let item = try registered(&$0)
            return try $0.outcome(.closeItem(item.text), by: first, at: 7)
        },
        TransitionRow(.periodNotReady, "a period without items") {
            try $0.outcome(.closePeriod(1), by: first)
        },
        TransitionRow(.periodNotReady, "another period than the open one") {
            _ = try closed(&$0)
            return try $0.outcome(.closePeriod(2), by: first)
        },
        TransitionRow(.periodNotReady, "period 0") {
            _ = try closed(&$0)
            return try $0.outcome(.closePeriod(0), by: first)
        },
        TransitionRow(.periodNotReady, "an item without an outcome") {
            _ = try closed(&$0)
            try $0.register([itemID("east/2")], readers: readers, by: east)
            return try $0.outcome(.closePeriod(1), by: first)
        },
        TransitionRow(.periodTooShort, "fewer items than the agreement asks for, by a reader") {
            _ = try closed(&$0)
            return try $0.outcome(.closePeriod(1), by: first)
        },
        TransitionRow(.periodTooShort, "fewer items than the agreement asks for, by a site") {
            _ = try closed(&$0)
            return try $0.outcome(.closePeriod(1), by: east)
        },
        TransitionRow(nil, "every item has an outcome") {
            _ = try closed(&$0)
            return try $0.outcome(.closePeriod(1), by: Consortium.coordinator)
        },
    ]
}
