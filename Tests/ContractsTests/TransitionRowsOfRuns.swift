import Contracts
import Cryptography
import Ledger
import TestSupport
import Wire

private let (east, west) = (Consortium.east, Consortium.west)
private let (coordinator, developer) = (Consortium.coordinator, Consortium.developer)
private let reader = AccountID(.annotator, "east-1")
private let short = [UInt8](repeating: 1, count: 31)
private let model = named("model 1.0")
private let values = roundValues([(1, 0), (1, 0), (1, 0)])
private let digest = Digest.sha256(values.encoded()).bytes

/// Run 1 is started at height 2 without a reference set; offers to 7.
private func started(_ consortium: inout Consortium) throws {
    try consortium.applied([.startRun(1, from: model)], by: developer)
}

private func stopped(_ consortium: inout Consortium) throws {
    try started(&consortium)
    try consortium.applied([.stopRun(1)], by: developer)
}

/// Round 1 of 1 is open at height 3 and has all updates; its deadline is height 8.
private func submitted(_ consortium: inout Consortium) throws {
    try consortium.startRun(rounds: 1)
    try consortium.openRound(1, 1)
}

/// Round 1 of 20 is closed, round 2 not yet open.
private func firstClosed(_ consortium: inout Consortium) throws {
    try consortium.startRun()
    try consortium.openRound(1, 1)
    try consortium.closeRound(1, 1, values)
}

/// Round 1 is open, and the run is stopped.
private func givenUp(_ consortium: inout Consortium) throws {
    try submitted(&consortium)
    try consortium.applied([.stopRun(1)], by: developer)
}

private func finished(_ consortium: inout Consortium) throws {
    try submitted(&consortium)
    try consortium.closeRound(1, 1, values)
}

/// All voters but one vouch for these bytes as the values of round 1.
private func vouched(_ consortium: inout Consortium, for bytes: [UInt8]) throws {
    try submitted(&consortium)
    for voter in Consortium.voters.prefix(3) {
        try consortium.applied(
            [.checked(1, 1, model: model, values: Digest.sha256(bytes).bytes)], by: voter)
    }
}

private func closeVouched(
    _ consortium: inout Consortium, _ change: (inout WireRoundValues) -> Void
) throws -> Rejection? {
    var values = values
    change(&values)
    try vouched(&consortium, for: values.encoded())
    return try consortium.outcome(
        .closeRound(1, 1, model: model, values: values.encoded()), by: reader)
}

extension TransitionTests {
    static let runRows = [
        TransitionRow(.notPermitted, "a site starts a run") {
            try $0.outcome(.startRun(9, from: short), by: east)
        },
        TransitionRow(.notPermitted, "a developer whom the agreement does not list starts a run") {
            let other = AccountID(.developer, "other")
            try $0.applied([.enrol(memberDocument(other))], by: east)
            return try $0.outcome(.startRun(9, from: short), by: other)
        },
        TransitionRow(.malformedField, "a model of 31 bytes") {
            try started(&$0)
            return try $0.outcome(.startRun(9, from: short), by: developer)
        },
        TransitionRow(.malformedField, "100,001 rounds") {
            try started(&$0)
            return try $0.outcome(.startRun(9, from: model, rounds: 100_001), by: developer)
        },
        TransitionRow(.runActive, "another run, wrongly numbered") {
            try started(&$0)
            return try $0.outcome(.startRun(9, from: model), by: coordinator)
        },
        TransitionRow(.noRun, "run 2 before run 1") {
            try $0.outcome(.startRun(2, from: model), by: developer)
        },
        TransitionRow(.noRun, "run 0") { try $0.outcome(.startRun(0, from: model), by: developer) },
        TransitionRow(.noRun, "run 1 again") {
            try stopped(&$0)
            return try $0.outcome(.startRun(1, from: model), by: developer)
        },
        TransitionRow(nil, "run 2 after run 1 was stopped") {
            try stopped(&$0)
            return try $0.outcome(.startRun(2, from: model), by: coordinator)
        },
        TransitionRow(nil, "run 2 after run 1 was finished") {
            try finished(&$0)
            return try $0.outcome(.startRun(2, from: model, rounds: 20), by: developer)
        },
        TransitionRow(.tooManyRounds, "one round more than the agreement has") {
            try finished(&$0)
            return try $0.outcome(.startRun(2, from: model, rounds: 21), by: developer)
        },
        TransitionRow(.notPermitted, "a site stops a run") {
            try $0.outcome(.stopRun(9), by: east)
        },
        TransitionRow(.notPermitted, "a developer whom the agreement does not list stops a run") {
            let other = AccountID(.developer, "other")
            try $0.applied([.enrol(memberDocument(other))], by: east)
            try started(&$0)
            return try $0.outcome(.stopRun(1), by: other)
        },
        TransitionRow(.noRun, "run 0 stops") { try $0.outcome(.stopRun(0), by: developer) },
        TransitionRow(.noRun, "run 1 stops before it starts") {
            try $0.outcome(.stopRun(1), by: developer)
        },
        TransitionRow(.runOver, "a stopped run stops") {
            try stopped(&$0)
            return try $0.outcome(.stopRun(1), by: developer)
        },
        TransitionRow(.runOver, "a finished run stops") {
            try finished(&$0)
            return try $0.outcome(.stopRun(1), by: developer)
        },
        TransitionRow(nil, "the coordinator stops a run") {
            try started(&$0)
            return try $0.outcome(.stopRun(1), by: coordinator)
        },
    ]

    static let referenceRows = [
        TransitionRow(.malformedField, "an offer of 31 bytes") {
            try $0.outcome(.offer(9, short), by: reader)
        },
        TransitionRow(.noRun, "an offer for no run") {
            try $0.outcome(.offer(9, named("r")), by: reader)
        },
        TransitionRow(.runOver, "an offer for a stopped run") {
            try stopped(&$0)
            return try $0.outcome(.offer(1, named("r")), by: reader)
        },
        TransitionRow(.notOnRoster, "an offer by the coordinator, after the fix") {
            try $0.startRun()
            return try $0.outcome(.offer(1, named("r")), by: coordinator)
        },
        TransitionRow(.referenceFixed, "a second offer after the fix and the window") {
            try started(&$0)
            try $0.applied([.offer(1, named("r"))], by: east)
            for voter in Consortium.sites { try $0.applied([.fix(1, named("root"))], by: voter) }
            return try $0.outcome(.offer(1, named("r")), by: east, at: 20)
        },
        TransitionRow(.alreadyOffered, "a second offer after the window") {
            try started(&$0)
            try $0.applied([.offer(1, named("r"))], by: east)
            return try $0.outcome(.offer(1, named("r")), by: east, at: 8)
        },
        TransitionRow(.offersOver, "a first offer after the window") {
            try started(&$0)
            return try $0.outcome(.offer(1, named("r")), by: east, at: 8)
        },
        TransitionRow(nil, "an offer at the last height") {
            try started(&$0)
            return try $0.outcome(.offer(1, named("r")), by: east, at: 7)
        },
        TransitionRow(.malformedField, "a root of 31 bytes") {
            try $0.outcome(.fix(9, short), by: reader)
        },
        TransitionRow(.malformedField, "a reference set of nothing") {
            try $0.outcome(.fix(9, named("root"), count: 0), by: reader)
        },
        TransitionRow(.noRun, "a word for no run") {
            try $0.outcome(.fix(9, named("root")), by: reader)
        },
        TransitionRow(.notAVoter, "a reader's word for a stopped run") {
            try stopped(&$0)
            return try $0.outcome(.fix(1, named("root")), by: reader)
        },
        TransitionRow(.runOver, "a word for a stopped run that was fixed") {
            try $0.startRun()
            try $0.applied([.stopRun(1)], by: developer)
            return try $0.outcome(.fix(1, named("root")), by: west)
        },
        TransitionRow(.referenceFixed, "a late word") {
            try $0.startRun()
            return try $0.outcome(.fix(1, named("reference 1")), by: west)
        },
        TransitionRow(nil, "a first word, by the coordinator") {
            try started(&$0)
            return try $0.outcome(.fix(1, named("root")), by: coordinator)
        },
    ]

    static let roundRows = [
        TransitionRow(.notPermitted, "a site opens a round") {
            try $0.outcome(.openRound(9, 9, base: short), by: east)
        },
        TransitionRow(.noRun, "a round of no run") {
            try $0.outcome(.openRound(9, 9, base: short), by: coordinator)
        },
        TransitionRow(.runOver, "a round of a stopped run") {
            try stopped(&$0)
            return try $0.outcome(.openRound(1, 9, base: short), by: coordinator)
        },
        TransitionRow(.referenceNotFixed, "a round before the fix") {
            try started(&$0)
            return try $0.outcome(.openRound(1, 9, base: short), by: coordinator)
        },
        TransitionRow(.roundOutOfOrder, "round 2 before round 1") {
            try $0.startRun()
            return try $0.outcome(.openRound(1, 2, base: short), by: coordinator)
        },
        TransitionRow(.roundOutOfOrder, "round 0") {
            try $0.startRun()
            return try $0.outcome(.openRound(1, 0, base: short), by: coordinator)
        },
        TransitionRow(.roundOutOfOrder, "round 1 again while it is open") {
            try $0.startRun()
            try $0.openRound(1, 1)
            return try $0.outcome(.openRound(1, 1, base: model), by: coordinator)
        },
        TransitionRow(.roundOutOfOrder, "round 2 while round 1 is open") {
            try $0.startRun()
            try $0.openRound(1, 1)
            return try $0.outcome(.openRound(1, 2, base: model), by: coordinator)
        },
        TransitionRow(.wrongBaseModel, "another model") {
            try $0.startRun()
            return try $0.outcome(.openRound(1, 1, base: named("other")), by: coordinator)
        },
        TransitionRow(.wrongBaseModel, "the initial model in round 2") {
            try $0.startRun()
            try $0.openRound(1, 1)
            try $0.closeRound(1, 1, values)
            return try $0.outcome(.openRound(1, 2, base: model), by: coordinator)
        },
        TransitionRow(nil, "round 1 from the initial model") {
            try $0.startRun()
            return try $0.outcome(.openRound(1, 1, base: model), by: coordinator)
        },
        TransitionRow(.malformedField, "an update of 31 bytes") {
            try $0.outcome(.submit(9, 9, update: short, manifest: model), by: reader)
        },
        TransitionRow(.malformedField, "a manifest of 31 bytes") {
            try $0.outcome(.submit(9, 9, update: model, manifest: short), by: reader)
        },
        TransitionRow(.malformedField, "an update from no example") {
            try $0.outcome(.submit(9, 9, update: model, manifest: model, examples: 0), by: reader)
        },
        TransitionRow(.noRun, "an update for no run") {
            try $0.outcome($0.submission(9, 9, by: east), by: reader)
        },
        TransitionRow(.runOver, "a reader's update for the open round of a stopped run") {
            try givenUp(&$0)
            return try $0.outcome($0.submission(1, 1, by: east), by: reader)
        },
        TransitionRow(.notOnRoster, "an update by a reader for no round") {
            try $0.startRun()
            return try $0.outcome($0.submission(1, 9, by: east), by: reader)
        },
        TransitionRow(.roundNotOpen, "an update for a round to come") {
            try submitted(&$0)
            return try $0.outcome($0.submission(1, 2, by: east), by: east)
        },
        TransitionRow(.roundNotOpen, "a second update for a closed round") {
            try firstClosed(&$0)
            return try $0.outcome($0.submission(1, 1, by: east), by: east, at: 20)
        },
        TransitionRow(.alreadySubmitted, "a second update after the deadline") {
            try submitted(&$0)
            return try $0.outcome($0.submission(1, 1, by: east), by: east, at: 9)
        },
        TransitionRow(.roundOver, "a first update after the deadline") {
            try $0.startRun()
            try $0.applied([.openRound(1, 1, base: model)], by: coordinator, at: 3)
            return try $0.outcome($0.submission(1, 1, by: east), by: east, at: 9)
        },
        TransitionRow(nil, "an update at the deadline") {
            try $0.startRun()
            try $0.applied([.openRound(1, 1, base: model)], by: coordinator, at: 3)
            return try $0.outcome($0.submission(1, 1, by: east), by: east, at: 8)
        },
        TransitionRow(.malformedField, "a word on a model of 31 bytes") {
            try $0.outcome(.checked(9, 9, model: short, values: digest), by: reader)
        },
        TransitionRow(.malformedField, "a word on values of 31 bytes") {
            try $0.outcome(.checked(9, 9, model: model, values: short), by: reader)
        },
        TransitionRow(.noRun, "a word on a round of no run") {
            try $0.outcome(.checked(9, 9, model: model, values: digest), by: reader)
        },
        TransitionRow(.notAVoter, "a reader's word on no round") {
            try givenUp(&$0)
            return try $0.outcome(.checked(1, 9, model: model, values: digest), by: reader)
        },
        TransitionRow(.runOver, "a word on the open round of a stopped run") {
            try givenUp(&$0)
            return try $0.outcome(.checked(1, 1, model: model, values: digest), by: east)
        },
        TransitionRow(.runOver, "a word on the last round of a finished run") {
            try finished(&$0)
            return try $0.outcome(.checked(1, 1, model: model, values: digest), by: west)
        },
        TransitionRow(.roundNotOpen, "a word on a round to come") {
            try $0.startRun()
            return try $0.outcome(.checked(1, 1, model: model, values: digest), by: east)
        },
        TransitionRow(.roundNotOpen, "a word on a closed round") {
            try firstClosed(&$0)
            return try $0.outcome(.checked(1, 1, model: model, values: digest), by: west)
        },
        TransitionRow(.roundNotReady, "a word at the deadline, an update missing") {
            try $0.startRun()
            try $0.applied([.openRound(1, 1, base: model)], by: coordinator, at: 3)
            return try $0.outcome(
                .checked(1, 1, model: model, values: digest), by: east, at: 8)
        },
        TransitionRow(nil, "a word after the deadline, all updates missing") {
            try $0.startRun()
            try $0.applied([.openRound(1, 1, base: model)], by: coordinator, at: 3)
            return try $0.outcome(
                .checked(1, 1, model: model, values: digest), by: coordinator, at: 9)
        },
    ]

    static let settlementRows = [
        TransitionRow(.malformedField, "a result of 31 bytes") {
            try $0.outcome(.closeRound(9, 9, model: short, values: [1]), by: reader)
        },
        TransitionRow(.noRun, "a result of no run") {
            try $0.outcome(.closeRound(9, 9, model: model, values: [1]), by: reader)
        },
        TransitionRow(.runOver, "a result of the open round of a stopped run") {
            try vouched(&$0, for: values.encoded())
            try $0.applied([.stopRun(1)], by: developer)
            return try $0.outcome(
                .closeRound(1, 1, model: model, values: values.encoded()), by: coordinator)
        },
        TransitionRow(.roundNotOpen, "a result of a round to come") {
            try submitted(&$0)
            return try $0.outcome(.closeRound(1, 2, model: model, values: [1]), by: reader)
        },
        TransitionRow(.roundNotOpen, "a second result") {
            try firstClosed(&$0)
            return try $0.outcome(
                .closeRound(1, 1, model: named("model 1.1"), values: values.encoded()), by: reader)
        },
        TransitionRow(.roundNotReady, "a result at the deadline, an update missing") {
            try $0.startRun()
            try $0.applied([.openRound(1, 1, base: model)], by: coordinator, at: 3)
            return try $0.outcome(
                .closeRound(1, 1, model: model, values: [1]), by: reader, at: 8)
        },
        TransitionRow(.noQuorum, "nobody vouches for malformed values") {
            try submitted(&$0)
            return try $0.outcome(.closeRound(1, 1, model: model, values: [1]), by: reader)
        },
        TransitionRow(.noQuorum, "a quorum vouches for other values") {
            try vouched(&$0, for: [2])
            return try $0.outcome(.closeRound(1, 1, model: model, values: [1]), by: reader)
        },
        TransitionRow(.noQuorum, "a quorum vouches for another model") {
            try vouched(&$0, for: values.encoded())
            return try $0.outcome(
                .closeRound(1, 1, model: named("other"), values: values.encoded()), by: reader)
        },
        TransitionRow(.valuesMalformed, "a quorum vouches for bytes that are no values") {
            try vouched(&$0, for: [1])
            return try $0.outcome(.closeRound(1, 1, model: model, values: [1]), by: reader)
        },
        TransitionRow(.valuesMalformed, "a site is missing") {
            try closeVouched(&$0) { $0.sites.removeLast() }
        },
        TransitionRow(.valuesMalformed, "sites in another order") {
            try closeVouched(&$0) { $0.sites.reverse() }
        },
        TransitionRow(.valuesMalformed, "a pseudonym of 31 bytes") {
            try closeVouched(&$0) { $0.patients = [patientRecords(short)] }
        },
        TransitionRow(.valuesMalformed, "a patient twice") {
            try closeVouched(&$0) {
                $0.patients = [patientRecords(model), patientRecords(model)]
            }
        },
        TransitionRow(nil, "anybody sends what a quorum vouches for") {
            try closeVouched(&$0) { _ in }
        },
        TransitionRow(.unknownWindow, "a window that nobody opened") {
            try $0.outcome(.expire("round/1.1"), by: reader)
        },
        TransitionRow(.windowOpen, "the last height of a window") {
            try lostStake(&$0)
            return try $0.outcome(.expire("item/east/1"), by: reader, at: 16)
        },
        TransitionRow(nil, "the height after a window") {
            try lostStake(&$0)
            return try $0.outcome(.expire("item/east/1"), by: reader, at: 17)
        },
        TransitionRow(.unknownWindow, "a window for the second time") {
            try lostStake(&$0)
            try $0.applied([.expire("item/east/1")], by: reader, at: 17)
            return try $0.outcome(.expire("item/east/1"), by: reader)
        },
    ]
}

private func patientRecords(_ patient: [UInt8]) -> WirePatientRecords {
    var entry = WirePatientRecords()
    entry.patient = data(patient)
    entry.records = 1
    return entry
}

/// A reader commits to `east/1`, never reveals, and loses the stake at height 10; appeals to 16.
private func lostStake(_ consortium: inout Consortium) throws {
    let item = try itemID("east/1")
    try consortium.register([item], readers: [reader, AccountID(.annotator, "east-2")], by: east)
    try consortium.applied([consortium.commit(item, 3, by: reader)], by: reader)
    try consortium.applied([.closeItem(item.text)], by: coordinator, at: 10)
}
