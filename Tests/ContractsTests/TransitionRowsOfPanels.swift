import Contracts
import Ledger
import TestSupport
import Wire

private let east = Consortium.east
private let office = Consortium.coordinator

/// `east/1` is registered at height 2; its secret opens from 4 to 8.
private func registered(_ consortium: inout Consortium) throws -> ItemID {
    consortium = try TransitionTests.drawnFounded.get()
    let item = try itemID("east/1")
    try consortium.registerDrawn([item], by: east)
    return item
}

/// As ``registered(_:)``, and the site has not opened the secret by height 9.
private func overdue(_ consortium: inout Consortium) throws -> ItemID {
    let item = try registered(&consortium)
    for _ in 3...4 { try consortium.execute([]) }
    try consortium.applied([.closeItem(item.text)], by: office, at: 9)
    return item
}

/// As ``registered(_:)``, and three readers are drawn at height 4.
private func drawn(_ consortium: inout Consortium) throws -> ItemID {
    let item = try registered(&consortium)
    try consortium.applied(
        [.openSeed(item.text, consortium.secret(of: item))], by: east, at: 4)
    return item
}

/// Two of the first wave answer and the item goes on; gives the one who missed it.
private func secondWave(_ item: ItemID, _ consortium: inout Consortium) throws -> AccountID {
    let readers = consortium.asked(item)
    for reader in readers.dropLast() {
        try consortium.applied([consortium.commit(item, 3, by: reader)], by: reader, at: 5)
    }
    for reader in readers.dropLast() {
        try consortium.applied([consortium.reveal(item, 3, by: reader)], by: reader, at: 9)
    }
    try consortium.applied([.closeItem(item.text)], by: office, at: 9)
    return readers[2]
}

/// Drawn, read alike by three, and closed at height 6.
private func closed(_ consortium: inout Consortium) throws -> ItemID {
    let item = try drawn(&consortium)
    try consortium.answer(item, [3, 3, 3])
    return item
}

/// Five items are read alike and closed in one block, and their site disputes four of them.
private func fourDisputes(_ consortium: inout Consortium) throws -> [ItemID] {
    consortium = try TransitionTests.drawnFounded.get()
    let items = try (1...5).map { try itemID("east/\($0)") }
    try consortium.draw(items, by: east)
    var answers: [ItemID: [AccountID: UInt32]] = [:]
    for item in items {
        for reader in consortium.asked(item) { answers[item, default: [:]][reader] = 3 }
    }
    try consortium.annotate(answers)
    try consortium.applied(items.prefix(4).map { .dispute($0.text) }, by: east)
    return items
}

/// Gold of grade 4 for `east/1` is committed at height 2, the item closed at height 7.
private func golden(_ consortium: inout Consortium) throws -> ItemID {
    consortium = try TransitionTests.drawnFounded.get()
    let item = try itemID("east/1")
    try consortium.applied([.commitGold(consortium.gold([item: 4]).commitment)], by: office)
    try consortium.draw([item], by: east)
    try consortium.answer(item, [3, 3, 3])
    return item
}

extension TransitionTests {
    static let drawnFounded = Result { try Consortium.drawn() }

    static let panelRows = [
        TransitionRow(
            .credentialsMalformed, "credentials out of order, of a reader with a key used"
        ) {
            let taken = Consortium.readers(of: east)[0]
            return try $0.outcome(
                .enrol(memberDocument(taken), as: ["senior", "reader"]), by: east)
        },
        TransitionRow(.credentialsMalformed, "credentials of a developer") {
            try $0.outcome(
                .enrol(memberDocument(AccountID(.developer, "two")), as: ["reader"]), by: east)
        },
        TransitionRow(nil, "a reader who is also a senior") {
            try $0.outcome(
                .enrol(memberDocument(AccountID(.annotator, "east-7")), as: ["reader", "senior"]),
                by: east)
        },
        TransitionRow(.malformedField, "a secret for a panel that the site lists") {
            let record = $0.drawnRecord(try itemID("east/1"))
            return try $0.outcome(record, by: east)
        },
        TransitionRow(.malformedField, "a drawn panel without a commitment to a secret") {
            $0 = try TransitionTests.drawnFounded.get()
            var record = $0.drawnRecord(try itemID("east/1"))
            record.recordRegister.seedCommitment = data([])
            return try $0.outcome(record, by: east)
        },
        TransitionRow(.readersMalformed, "a drawn panel with readers listed") {
            $0 = try TransitionTests.drawnFounded.get()
            let item = try itemID("east/1")
            try $0.applied([.grant(named("patient of \(item)"))], by: east)
            var record = $0.drawnRecord(item)
            record.recordRegister.readers = [Consortium.readers(of: Consortium.north)[0].text]
            return try $0.outcome(record, by: east)
        },
        TransitionRow(.malformedField, "a secret of 31 bytes") {
            try $0.outcome(
                .openSeed("east/9", [UInt8](repeating: 1, count: 31)), by: Consortium.north)
        },
        TransitionRow(.unknownItem, "a secret for an unknown item") {
            try $0.outcome(.openSeed("east/9", named("s")), by: Consortium.north)
        },
        TransitionRow(.notPermitted, "a secret from another site, after the window") {
            let item = try registered(&$0)
            return try $0.outcome(.openSeed(item.text, named("s")), by: Consortium.north, at: 9)
        },
        TransitionRow(.itemClosed, "a secret after the item ended") {
            let item = try closed(&$0)
            return try $0.outcome(.openSeed(item.text, named("s")), by: east)
        },
        TransitionRow(.seedNotAwaited, "a secret opened twice") {
            let item = try drawn(&$0)
            return try $0.outcome(.openSeed(item.text, named("s")), by: east)
        },
        TransitionRow(.seedTooEarly, "a secret in the block after the registration") {
            let item = try registered(&$0)
            return try $0.outcome(.openSeed(item.text, named("s")), by: east, at: 3)
        },
        TransitionRow(.seedTooEarly, "a secret after a block that was never made") {
            let item = try registered(&$0)
            return try $0.outcome(.openSeed(item.text, named("s")), by: east, at: 5)
        },
        TransitionRow(.seedDoesNotOpen, "another secret, after the window") {
            let item = try registered(&$0)
            try $0.execute([], at: 4)
            return try $0.outcome(.openSeed(item.text, named("s")), by: east, at: 9)
        },
        TransitionRow(nil, "the secret, long after the window") {
            let item = try overdue(&$0)
            return try $0.outcome(.openSeed(item.text, $0.secret(of: item)), by: east, at: 99)
        },
        TransitionRow(.secretsOverdue, "the record of before again, while its secret is overdue") {
            let item = try overdue(&$0)
            return try $0.outcome($0.drawnRecord(item), by: east)
        },
        TransitionRow(.itemExists, "the record of before again, when its secret is open") {
            let item = try overdue(&$0)
            try $0.applied([.openSeed(item.text, $0.secret(of: item))], by: east)
            return try $0.outcome($0.drawnRecord(item), by: east)
        },
        TransitionRow(.noConsent, "another site's record, while this one's secret is overdue") {
            _ = try overdue(&$0)
            return try $0.outcome(
                $0.drawnRecord(itemID("north/1")), by: Consortium.north)
        },
        TransitionRow(.seedDoesNotOpen, "another secret at the last height of the window") {
            let item = try registered(&$0)
            try $0.execute([], at: 4)
            return try $0.outcome(.openSeed(item.text, named("s")), by: east, at: 8)
        },
        TransitionRow(.itemNotReady, "a close while the secret is awaited") {
            let item = try registered(&$0)
            return try $0.outcome(.closeItem(item.text), by: office, at: 8)
        },
        TransitionRow(nil, "a close after a withheld secret") {
            let item = try registered(&$0)
            return try $0.outcome(.closeItem(item.text), by: office, at: 9)
        },
        TransitionRow(.itemNotReady, "a second close after a withheld secret") {
            let item = try overdue(&$0)
            return try $0.outcome(.closeItem(item.text), by: office)
        },
        TransitionRow(.doesNotOpen, "another reader's commitment and answer, with its own salt") {
            let item = try drawn(&$0)
            let readers = $0.asked(item)
            let commitment = try $0.commit(item, 3, by: readers[0])
            for reader in readers { try $0.applied([commitment], by: reader, at: 5) }
            return try $0.outcome($0.reveal(item, 3, by: readers[1]), by: readers[1])
        },
        TransitionRow(.doesNotOpen, "another reader's commitment, answer and salt") {
            let item = try drawn(&$0)
            let readers = $0.asked(item)
            let commitment = try $0.commit(item, 3, by: readers[0])
            for reader in readers { try $0.applied([commitment], by: reader, at: 5) }
            return try $0.outcome($0.reveal(item, 3, by: readers[0]), by: readers[1])
        },
        TransitionRow(.commitWindowOver, "a commitment of the first wave when the second is asked")
        {
            let item = try drawn(&$0)
            let last = try secondWave(item, &$0)
            return try $0.outcome($0.commit(item, 3, by: last), by: last)
        },
        TransitionRow(.revealWindowOver, "a reveal of the first wave when the second is asked") {
            let item = try drawn(&$0)
            let readers = $0.asked(item)
            for reader in readers {
                try $0.applied([$0.commit(item, 3, by: reader)], by: reader, at: 5)
            }
            for reader in readers.dropLast() {
                try $0.applied([$0.reveal(item, 3, by: reader)], by: reader, at: 6)
            }
            try $0.applied([.closeItem(item.text)], by: office, at: 9)
            return try $0.outcome($0.reveal(item, 3, by: readers[2]), by: readers[2], at: 9)
        },
    ]

    static let disputeRows = [
        TransitionRow(.malformedField, "a dispute of 1,001 bytes") {
            try $0.outcome(.dispute("east/9", String(repeating: "x", count: 1_001)), by: east)
        },
        TransitionRow(.unknownItem, "a dispute about an unknown item") {
            try $0.outcome(.dispute("east/9"), by: office)
        },
        TransitionRow(.notAssigned, "a dispute by another site") {
            let item = try drawn(&$0)
            return try $0.outcome(.dispute(item.text), by: Consortium.north)
        },
        TransitionRow(.itemNotReady, "a dispute before there is an outcome") {
            let item = try drawn(&$0)
            return try $0.outcome(.dispute(item.text), by: east)
        },
        TransitionRow(.alreadyAdjudicated, "a second dispute, after the window") {
            let item = try closed(&$0)
            try $0.applied([.dispute(item.text)], by: east)
            return try $0.outcome(.dispute(item.text), by: east, at: 30)
        },
        TransitionRow(.disputeWindowOver, "a dispute after the appeal window") {
            let item = try closed(&$0)
            return try $0.outcome(.dispute(item.text), by: east, at: 13)
        },
        TransitionRow(nil, "a dispute at the last height of the appeal window") {
            let item = try closed(&$0)
            let reader = $0.asked(item)[0]
            return try $0.outcome(.dispute(item.text), by: reader, at: 12)
        },
        TransitionRow(.tooManyDisputes, "a fifth dispute of a site while four are under way") {
            let items = try fourDisputes(&$0)
            return try $0.outcome(.dispute(items[4].text), by: east)
        },
        TransitionRow(nil, "a fifth dispute when one of four is decided") {
            let items = try fourDisputes(&$0)
            try $0.answer(items[0], [3, 3])
            return try $0.outcome(.dispute(items[4].text), by: east)
        },
        TransitionRow(.noSeniors, "a dispute about an item of a listed panel") {
            let item = try itemID("east/1")
            let readers = Array(Consortium.readers(of: east).prefix(2))
            try $0.register([item], readers: readers, by: east)
            try $0.annotate([item: [readers[0]: 3, readers[1]: 4]])
            return try $0.outcome(.dispute(item.text), by: east)
        },
        TransitionRow(.noSeniors, "a dispute when one senior alone is left") {
            let item = try closed(&$0)
            let others = [Consortium.north, Consortium.west]
            for senior in others.flatMap(Consortium.seniors).dropLast() {
                try $0.applied([.revoke(senior.text)], by: senior, at: $0.height.value)
            }
            return try $0.outcome(.dispute(item.text), by: east)
        },
    ]

    static let goldRows = [
        TransitionRow(.notPermitted, "gold of an organisation that the agreement does not name") {
            try $0.outcome(.commitGold([]), by: east)
        },
        TransitionRow(.malformedField, "a commitment to gold of no bytes") {
            $0 = try TransitionTests.drawnFounded.get()
            return try $0.outcome(.commitGold([]), by: office)
        },
        TransitionRow(.goldKnown, "the same commitment to gold twice") {
            _ = try golden(&$0)
            return try $0.outcome(
                .commitGold($0.gold([itemID("east/1"): 4]).commitment), by: office)
        },
        TransitionRow(.goldExhausted, "a 65th commitment to gold") {
            $0 = try TransitionTests.drawnFounded.get()
            try $0.applied((1...64).map { .commitGold(named("gold \($0)")) }, by: office)
            return try $0.outcome(.commitGold(named("gold 65")), by: office)
        },
        TransitionRow(.notPermitted, "gold shown by another") {
            try $0.outcome(.revealGold([], [], salt: []), by: east)
        },
        TransitionRow(.malformedField, "gold shown with a salt of no bytes") {
            $0 = try TransitionTests.drawnFounded.get()
            return try $0.outcome(.revealGold(named("g"), [], salt: []), by: office)
        },
        TransitionRow(.unknownGold, "gold shown that was never committed to") {
            $0 = try TransitionTests.drawnFounded.get()
            return try $0.outcome(.revealGold(named("g"), [], salt: named("s")), by: office)
        },
        TransitionRow(.goldNotOpen, "other gold, shown before its period can close") {
            $0 = try TransitionTests.drawnFounded.get()
            try $0.applied([.commitGold(named("g"))], by: office)
            return try $0.outcome(.revealGold(named("g"), [], salt: named("s")), by: office)
        },
        TransitionRow(.goldDoesNotOpen, "other gold than was committed to, in a bad order") {
            let item = try golden(&$0)
            let gold = $0.gold([item: 4])
            return try $0.outcome(
                .revealGold(gold.commitment, gold.answers + gold.answers, salt: gold.salt),
                by: office)
        },
        TransitionRow(.goldMalformed, "gold that is no grade of the study") {
            let item = try golden(&$0)
            let gold = $0.gold([item: 6])
            var early = try TransitionTests.drawnFounded.get()
            try early.applied([.commitGold(gold.commitment)], by: office)
            try early.draw([item], by: east)
            try early.answer(item, [3, 3, 3])
            $0 = early
            return try $0.outcome(
                .revealGold(gold.commitment, gold.answers, salt: gold.salt), by: office)
        },
        TransitionRow(.goldMalformed, "another truth for an item that has its gold") {
            let item = try itemID("east/1")
            $0 = try TransitionTests.drawnFounded.get()
            let (gold, other) = ($0.gold([item: 4]), $0.gold([item: 3]))
            try $0.applied(
                [gold, other].map { .commitGold($0.commitment) }, by: office)
            try $0.draw([item], by: east)
            try $0.answer(item, [3, 3, 3])
            try $0.applied(
                [.revealGold(gold.commitment, gold.answers, salt: gold.salt)], by: office)
            return try $0.outcome(
                .revealGold(other.commitment, other.answers, salt: other.salt), by: office)
        },
        TransitionRow(.goldNotOpen, "gold of an item that is open, in a period that can close") {
            var agreement = drawnAgreement()
            agreement.annotation.periodItems = 1
            var early = try Consortium.drawn(agreement)
            let items = try (1...2).map { try itemID("east/\($0)") }
            let gold = early.gold([items[0]: 4, items[1]: 4])
            try early.applied([.commitGold(gold.commitment)], by: office)
            try early.draw(items, by: east)
            try early.answer(items[0], [3, 3, 3])
            $0 = early
            return try $0.outcome(
                .revealGold(gold.commitment, gold.answers, salt: gold.salt), by: office)
        },
        TransitionRow(nil, "gold shown at the period's close") {
            let item = try golden(&$0)
            let gold = $0.gold([item: 4])
            return try $0.outcome(
                .revealGold(gold.commitment, gold.answers, salt: gold.salt), by: office)
        },
        TransitionRow(.goldAwaited, "a period closed at the last height for its gold") {
            _ = try golden(&$0)
            return try $0.outcome(.closePeriod(1), by: office, at: $0.height.value + 4)
        },
        TransitionRow(nil, "a period closed without the gold that was withheld") {
            _ = try golden(&$0)
            return try $0.outcome(.closePeriod(1), by: office, at: $0.height.value + 5)
        },
    ]
}
