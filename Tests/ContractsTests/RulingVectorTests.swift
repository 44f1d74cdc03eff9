import Contracts
import Ledger
import TestSupport
import Testing
import Wire

/// Of the image that an answer is about.
private func imageSize(_ answer: Answer) -> ImageSize? {
    switch answer {
    case .grade, .measurement: nil
    case .boxes(let set): set.size
    case .mask(let mask): mask.size
    }
}

/// Rulings on measurements, boxes and masks, against the reference, to the last unit.
@Suite("Pay after a ruling")
struct RulingVectorTests {
    static let east = Consortium.east
    static let readers = (Int64(0)..<6).map(AnswerVectors.reader)
    static let cases = Result { try vectors("answer_vectors", as: AnswerVectors.self).cases }

    private static func agreement(_ vector: AnswerVectors.Case, stake: UInt64) -> WireAgreement {
        var agreement = drawnAgreement(vector.kind)
        agreement.annotation.waves = [3]
        agreement.annotation.classes = vector.kind == "boxes" ? 2 : vector.kind == "masks" ? 1 : 0
        agreement.annotation.nearDistance = 0
        agreement.annotation.maximumSpread = 0
        agreement.training.positiveAbove = 1
        agreement.training.negativeBelow = 2
        if vector.kind == "measurement" {
            agreement.annotation.absoluteTolerance = 1_500
            agreement.annotation.relativeTolerancePermille = 100
        } else {
            agreement.annotation.nearShareNumerator = 0
            agreement.annotation.nearShareDenominator = 0
            agreement.annotation.overlapPermille = vector.kind == "boxes" ? 500 : 0
            agreement.annotation.agreementPermille = vector.kind == "boxes" ? 700 : 800
        }
        agreement.rewards.roundPoolMicrotokens = 1_000_000
        agreement.rewards.appealWindow = 1_000
        agreement.rewards.stakeMicrotokens = stake
        return agreement
    }

    private static func answer(_ value: VectorValue, _ kind: String) throws -> Answer {
        switch kind {
        case "measurement": .measurement(try value.measurement())
        case "boxes": .boxes(try value.boxes())
        default: .mask(try value.mask())
        }
    }

    /// A study that stands before its first period's close, with the reference's answers in it.
    ///
    /// Who reads what cannot be asked of a drawn panel, so the answers are put into the state, as
    /// reveals would have left them.
    private static func study(
        _ vector: AnswerVectors.Case, _ reversal: AnswerVectors.Reversal
    ) throws -> Consortium {
        var consortium = try Consortium(
            agreement(vector, stake: reversal.stake), enrolling: false)
        try consortium.applied(
            readers.map { try .enrol(memberDocument($0), as: ["reader"]) },
            by: Consortium.north, at: 1)
        try consortium.applied(
            Consortium.seniors(of: Consortium.west).map {
                try .enrol(memberDocument($0), as: ["senior"])
            }, by: Consortium.west, at: 1)
        var registrations: [WireTransaction] = []
        var states: [(item: ItemID, state: WireItemState)] = []
        for number in 0..<reversal.items {
            let item = try AnswerVectors.item(number)
            let state = try state(of: number, vector, reversal)
            var register = consortium.drawnRecord(item)
            register.recordRegister.width = state.width
            register.recordRegister.height = state.height
            registrations += [.grant(named("patient of \(item)")), register]
            states.append((item, state))
        }
        try consortium.applied(registrations, by: east)
        for (item, state) in states {
            consortium.corrupt(.items, Array(item.text.utf8), state.encoded())
        }
        var period = consortium.openPeriod()
        period.decided = period.items
        period.disputed = UInt32(vector.late.count)
        period.approved = period.items - period.disputed
        period.gold = UInt32(states.count { !$0.state.gold.isEmpty })
        consortium.corrupt(.periods, openPeriodKey, period.encoded())
        return consortium
    }

    private static func state(
        of number: Int, _ vector: AnswerVectors.Case, _ reversal: AnswerVectors.Reversal
    ) throws -> WireItemState {
        var state = WireItemState()
        state.period = 1
        state.seedCommitment = data(named("commitment"))
        state.seed = data(named("seed \(number)"))
        state.closedHeight = 2
        state.outcome = vector.late.contains(number) ? .disputed : .approved
        var answers: [Answer] = []
        for entry in vector.items[number].map(\.entries) {
            let given = try answer(entry[1], vector.kind)
            var answer = WireAnswerState()
            answer.annotator = AnswerVectors.reader(try entry[0].measurement()).text
            answer.commitment = data(named("commitment"))
            answer.grade = 1
            answer.answer = data(given.bytes)
            state.answers.append(answer)
            answers.append(given)
        }
        state.readers = state.answers.map(\.annotator)
        if let size = answers.first.flatMap(imageSize) {
            state.width = size.width
            state.height = size.height
        }
        if state.outcome == .approved {
            state.grade = 1
            state.consensus = data(try #require(answers.first).bytes)
        }
        let gold = vector.gold.map(\.entries).first { $0.first?.numbers == [Int64(number)] }
        if reversal.gold, let gold {
            state.gold = data(try answer(gold[1], vector.kind).bytes)
        }
        return state
    }

    /// East disputes each item of the vectors, and two seniors say what the reference has.
    private static func rule(
        _ consortium: inout Consortium, _ vector: AnswerVectors.Case,
        _ reversal: AnswerVectors.Reversal
    ) throws {
        for ruling in vector.rulings.map(\.entries) {
            let number = Int(try ruling[0].measurement())
            guard number < reversal.items else { continue }
            let (item, label) = (
                try AnswerVectors.item(number), try answer(ruling[1], vector.kind)
            )
            try consortium.applied([.dispute(item.text)], by: east)
            try consortium.answer(item, with: label)
            let kind = try #require(AnswerKind(rawValue: vector.kind))
            #expect(consortium.item(item)?.hasReversal == true)
            #expect(consortium.item(item)?.label(kind: kind) == label)
        }
    }

    private static func expect(
        _ consortium: Consortium, _ expected: [String: AnswerVectors.Result], _ place: String
    ) throws {
        for (name, want) in expected {
            let reader = AnswerVectors.reader(try #require(Int64(name)))
            let place: Comment = "\(place), \(reader)"
            let total = try #require(
                consortium.value(WirePayTotal.self, .payTotals, Array(reader.text.utf8)))
            #expect(total.weight == want.weight ?? 0, place)
            #expect(total.shortfall == want.shortfall ?? 0, place)
            guard want.weight != nil else {
                #expect(UInt64(total.carriedAnswers) == want.answers, place)
                #expect(total.carriedRows == want.n, place)
                #expect(total.carriedAgreed == want.agreed, place)
                #expect(total.carriedChance == want.chance, place)
                continue
            }
            #expect(total.carriedAnswers == 0 && total.carriedRows == 0, place)
            let pay = try #require(consortium.read { $0.pay(of: reader, in: 1) })
            #expect(pay.rated && UInt64(pay.answers) == want.answers, place)
            #expect(pay.rows == want.n && pay.agreed == want.agreed, place)
            #expect(pay.chance == want.chance && pay.points == want.points, place)
            #expect(pay.fee == want.fee && pay.weight == want.weight, place)
            #expect(pay.shortfall == want.shortfall, place)
            #expect(UInt64(pay.accuracyPermille) == want.agreed / want.n, place)
        }
    }

    @Test("before the close the seniors' label is the reference of everybody", arguments: 0..<6)
    func open(number: Int) throws {
        let vector = try Self.cases.get()[number]
        for reversal in vector.reversals {
            var consortium = try Self.study(vector, reversal)
            try Self.rule(&consortium, vector, reversal)
            #expect(consortium.openPeriod().approved == UInt32(reversal.items))
            try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
            try Self.expect(consortium, reversal.open, "\(vector.kind) \(vector.name)")
        }
    }

    @Test("after it pay, payment and penalty are those of the reference", arguments: 0..<6)
    func closed(number: Int) throws {
        let vector = try Self.cases.get()[number]
        for reversal in vector.reversals {
            let place = "\(vector.kind) \(vector.name) \(reversal.items) \(reversal.gold)"
            var consortium = try Self.study(vector, reversal)
            try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
            try Self.expect(consortium, reversal.before, place)
            try consortium.startRun()
            try consortium.openRound(1, 1)
            try consortium.closeRound(1, 1, roundValues([(1, 0), (1, 0), (1, 0)]))
            let round = Array("round/1.1".utf8)
            let share = consortium.value(WireRoundShareState.self, .roundShares, round)
            #expect(share?.microtokens == vector.share)
            let paid = Self.readers.map { consortium.held($0) }
            func escrow(_ reader: AccountID) -> [UInt64] {
                [ConsortiumAccount.stake(of: reader), ConsortiumAccount.appeal(of: reader)]
                    .map { consortium.held($0) }
            }
            for (name, money) in reversal.money {
                let reader = AnswerVectors.reader(try #require(Int64(name)))
                let taken = UInt64(money[1])
                #expect(escrow(reader) == [reversal.stake - taken, taken], "\(place) \(reader)")
            }
            let closed = Self.readers.map {
                consortium.value(WirePayState.self, .pay, payKey(1, $0))
            }
            try Self.rule(&consortium, vector, reversal)
            try Self.expect(consortium, reversal.after, place)
            for (index, reader) in Self.readers.enumerated() {
                let money = reversal.money["\(index)"] ?? [0, 0, 0]
                let place: Comment = "\(place), \(reader)"
                #expect(
                    Int64(consortium.held(reader)) - Int64(paid[index]) == money[0], place)
                let taken = UInt64(money[2])
                #expect(escrow(reader) == [reversal.stake - taken, taken], place)
                #expect(
                    consortium.value(WirePayState.self, .pay, payKey(1, reader))
                        == closed[index], "the record of the close stays")
            }
            #expect(consortium.audit().isEmpty)
            // What the window still holds goes back to the reserve, and nothing is left in escrow.
            let until = try #require(
                consortium.value(WireWindowState.self, .windows, round)?.untilHeight)
            try consortium.applied(
                [.expire("round/1.1")], by: Consortium.coordinator, at: until + 1)
            #expect(
                Self.readers.allSatisfy {
                    consortium.held(ConsortiumAccount.appeal(of: $0)) == 0
                })
            #expect(consortium.audit().isEmpty)
        }
    }
}
