import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// Whole histories of studies that ask for something else than grades.
@Suite("Answer kinds on the chain")
struct AnswerKindTests {
    static let site = Consortium.east
    static let readers = Array(Consortium.readers(of: site).prefix(3))
    static let size = ImageSize(width: 40, height: 30)

    static func agreement(_ kind: AnswerKind) -> WireAgreement {
        var agreement = testAgreement()
        agreement.annotation.answer = kind.rawValue
        agreement.annotation.nearDistance = 0
        agreement.annotation.maximumSpread = 0
        agreement.training.positiveAbove = 1
        agreement.training.negativeBelow = 2
        if kind != .measurement && kind != .ordinal {
            agreement.annotation.nearShareNumerator = 0
            agreement.annotation.nearShareDenominator = 0
        }
        switch kind {
        case .class:
            agreement.annotation.classes = 3
            agreement.annotation.posteriorPermille = 950
            agreement.annotation.minimumVotes = 2
        case .ordinal: break
        case .measurement:
            agreement.annotation.classes = 0
            agreement.annotation.absoluteTolerance = 500
            agreement.annotation.cut = 10_000
        case .boxes:
            agreement.annotation.classes = 2
            agreement.annotation.overlapPermille = 500
            agreement.annotation.agreementPermille = 700
        case .masks:
            agreement.annotation.classes = 1
            agreement.annotation.agreementPermille = 800
        }
        return agreement
    }

    private func founded(_ kind: AnswerKind) throws -> Consortium {
        try Consortium(Self.agreement(kind))
    }

    private func register(
        _ consortium: inout Consortium, _ items: [ItemID], width: UInt32? = nil
    ) throws {
        let isImage = consortium.agreement.annotation.kind.isImage
        let transactions = items.flatMap { item -> [WireTransaction] in
            let patient = named("patient of \(item)")
            var register = WireTransaction.register(
                item.text, of: patient, readers: Self.readers.map(\.text))
            register.recordRegister.width = width ?? (isImage ? Self.size?.width ?? 0 : 0)
            register.recordRegister.height = isImage ? Self.size?.height ?? 0 : 0
            return [.grant(patient), register]
        }
        try consortium.applied(transactions, by: Self.site)
    }

    private func answer(
        _ answers: [ItemID: [Answer]], _ item: ItemID, _ place: Int
    ) throws -> Answer { try #require(answers[item]?[place]) }

    /// All commit in the next block, reveal in the one after it, and the items close.
    private func annotate(
        _ consortium: inout Consortium, _ answers: [ItemID: [Answer]]
    ) throws {
        let items = answers.keys.sorted()
        try register(&consortium, items)
        let height = consortium.height.value + 1
        for (place, reader) in Self.readers.enumerated() {
            let own = try items.map { item in
                try consortium.commit(item, answer(answers, item, place), by: reader)
            }
            try consortium.applied(own, by: reader, at: height)
        }
        for (place, reader) in Self.readers.enumerated() {
            let own = try items.map { item in
                try consortium.reveal(item, answer(answers, item, place), by: reader)
            }
            try consortium.applied(own, by: reader, at: height + 1)
        }
        try consortium.applied(
            items.map { .closeItem($0.text) }, by: Consortium.coordinator, at: height + 1)
    }

    private func closePeriod(_ consortium: inout Consortium) throws {
        var close = WireTransaction()
        close.periodClose.period = consortium.openPeriod().number
        try consortium.applied([close], by: Consortium.coordinator)
    }

    private func square(_ left: UInt32, _ side: UInt32, label: UInt32 = 1) -> Box {
        Box(label: label, left: left, top: 0, right: left + side, bottom: side)
    }

    private func boxes(_ boxes: Box...) throws -> Answer {
        let size = try #require(Self.size)
        return .boxes(try #require(BoxSet(size: size, boxes: boxes.sorted())))
    }

    private func mask(_ start: UInt32, _ length: UInt32) throws -> Answer {
        let size = try #require(Self.size)
        return .mask(
            try #require(
                RunMask(size: size, joining: [start, length, size.pixels - start - length])))
    }

    /// Answers of three readers that agree, and of three that do not.
    private func answers(_ kind: AnswerKind) throws -> (near: [Answer], far: [Answer]) {
        switch kind {
        case .class, .ordinal:
            ([.grade(2), .grade(2), .grade(2)], [.grade(1), .grade(2), .grade(3)])
        case .measurement:
            (
                [.measurement(12_000), .measurement(12_400), .measurement(11_900)],
                [.measurement(12_000), .measurement(13_400), .measurement(900)]
            )
        case .boxes:
            (
                [
                    try boxes(square(0, 9000)), try boxes(square(200, 9000)),
                    try boxes(square(100, 9000), square(20_000, 5000, label: 2)),
                ],
                [try boxes(square(0, 9000)), try boxes(square(15_000, 9000)), try boxes()]
            )
        case .masks:
            (
                [try mask(100, 300), try mask(110, 290), try mask(95, 300)],
                [try mask(100, 300), try mask(600, 290), try mask(1000, 100)]
            )
        }
    }

    @Test("an item is approved with its consensus or disputed", arguments: AnswerKind.allCases)
    func outcomes(kind: AnswerKind) throws {
        var consortium = try founded(kind)
        let (near, far) = try answers(kind)
        let items = try [itemID("east/1"), itemID("east/2")]
        try annotate(&consortium, [items[0]: near, items[1]: far])
        let agreed = try #require(consortium.item(items[0]))
        let torn = try #require(consortium.item(items[1]))
        #expect(agreed.outcome == .approved && torn.label(kind: kind) == nil)
        #expect(torn.outcome == .disputed)
        let label = try #require(agreed.label(kind: kind))
        switch kind {
        case .class, .ordinal: #expect(label == .grade(2) && agreed.consensus.isEmpty)
        case .measurement: #expect(label == .measurement(12_000))
        case .boxes: #expect(label == (try boxes(square(100, 9000))))
        case .masks: #expect(label == (try mask(100, 300)))
        }
        #expect(agreed.grade == 2)
        #expect((agreed.posteriorPermille > 0) == kind.isGrade)
        let scores = consortium.value(
            WireScoreState.self, .scores, Array(Self.readers[0].text.utf8))
        #expect((scores != nil) == kind.isGrade)
        #expect(consortium.audit().isEmpty)
    }

    @Test("a class needs its posterior: two of three votes of unknown readers are not enough")
    func classes() throws {
        var consortium = try founded(.class)
        let item = try itemID("east/1")
        try annotate(&consortium, [item: [.grade(1), .grade(1), .grade(3)]])
        // Likelihoods 5/7 and 1/7: 25 to 1 to 5, which is 806 per mille.
        #expect(consortium.item(item)?.outcome == .disputed)
        let score = consortium.value(
            WireScoreState.self, .scores, Array(Self.readers[0].text.utf8))
        #expect(score == nil)
    }

    @Test("a closed period pays what the rule says", arguments: AnswerKind.allCases)
    func pay(kind: AnswerKind) throws {
        var consortium = try founded(kind)
        let near = try answers(kind).near
        let other: [Answer] =
            switch kind {
            case .class, .ordinal: [.grade(1), .grade(1), .grade(1)]
            case .measurement: [.measurement(1000), .measurement(1100), .measurement(900)]
            case .boxes: [try boxes(), try boxes(), try boxes()]
            case .masks: [try mask(700, 300), try mask(710, 290), try mask(695, 300)]
            }
        var all: [ItemID: [Answer]] = [:]
        for number in 0..<32 {
            all[try AnswerVectors.item(number)] = number.isMultiple(of: 2) ? near : other
        }
        try annotate(&consortium, all)
        try closePeriod(&consortium)
        let reader = Self.readers[0]
        let pay = try #require(
            consortium.value(WirePayState.self, .pay, payKey(1, reader)))
        #expect(pay.rated && pay.answers == 32 && pay.rows == 32 && pay.points > 0)
        #expect(pay.weight == UInt64(pay.points) - pay.fee)
        let total = consortium.value(WirePayTotal.self, .payTotals, Array(reader.text.utf8))
        #expect(total?.weight == pay.weight && total?.carriedRows == 0)
        guard !kind.isGrade else {
            #expect(pay.joint.reduce(0, +) == 32 && pay.agreed == 0)
            return
        }
        #expect(pay.joint.isEmpty)
        #expect(pay.points == 1000 * (Int64(pay.agreed) - Int64(pay.chance)))
        #expect(pay.accuracyPermille == UInt32(pay.agreed / 32))
    }

    @Test(
        "a raw close after each item takes nobody's pay",
        arguments: [AnswerKind.measurement, .boxes, .masks])
    func earlyClose(kind: AnswerKind) throws {
        var consortium = try founded(kind)
        let near = try answers(kind).near
        func close(by account: AccountID) throws -> Rejection? {
            try consortium.outcome(.closePeriod(1), by: account)
        }
        try annotate(&consortium, [AnswerVectors.item(0): near])
        #expect(consortium.openPeriod().approved == 1)
        for account in [Self.readers[0], Self.site, Consortium.coordinator] {
            #expect(try close(by: account) == .periodTooShort)
        }
        try annotate(&consortium, [AnswerVectors.item(1): near])
        #expect(try close(by: Self.readers[0]) == .periodTooShort)
        #expect(try close(by: Consortium.coordinator) == nil)
        let total = consortium.value(
            WirePayTotal.self, .payTotals, Array(Self.readers[0].text.utf8))
        #expect(total?.carriedRows == 2)
    }

    @Test("below 30 answers sums carry over to the next period")
    func carries() throws {
        var consortium = try founded(.measurement)
        let reader = Self.readers[0]
        var agreed: UInt64 = 0
        for round in 0..<2 {
            var all: [ItemID: [Answer]] = [:]
            for number in 0..<16 {
                let value = Int64(number) * 5000
                all[try itemID("east/r\(round)-\(number)")] = [
                    .measurement(value), .measurement(value), .measurement(value + 100),
                ]
            }
            try annotate(&consortium, all)
            try closePeriod(&consortium)
            let total = try #require(
                consortium.value(WirePayTotal.self, .payTotals, Array(reader.text.utf8)))
            let pay = try #require(
                consortium.value(WirePayState.self, .pay, payKey(UInt32(round) + 1, reader)))
            #expect(pay.rated == (round == 1) && (total.carriedAnswers == 16) == (round == 0))
            #expect(pay.agreed == agreed + 16_000 && pay.rows == UInt64(16 * (round + 1)))
            agreed = total.carriedAgreed
        }
        #expect(agreed == 0)
    }

    @Test("an answer of another kind, or out of range, is refused and can be shown rightly")
    func malformed() throws {
        for kind in AnswerKind.allCases {
            var consortium = try founded(kind)
            let item = try itemID("east/1")
            try register(&consortium, [item])
            let right = try answers(kind).near[0]
            for reader in Self.readers {
                try consortium.applied(
                    [try consortium.commit(item, right, by: reader)], by: reader, at: 3)
            }
            var wrong = [
                Answer.measurement(3), try boxes(square(0, 9)), try mask(3, 4), .grade(1),
            ].filter { answer in
                switch (answer, kind) {
                case (.grade, .class), (.grade, .ordinal), (.measurement, .measurement),
                    (.boxes, .boxes), (.mask, .masks):
                    false
                default: true
                }
            }
            if kind == .boxes { wrong.append(try boxes(square(0, 9, label: 3))) }
            for answer in wrong {
                let outcome = try consortium.outcome(
                    consortium.reveal(item, answer, by: Self.readers[0]), by: Self.readers[0], at: 4
                )
                #expect(outcome == (kind.isGrade ? .gradeOutOfRange : .answerMalformed))
            }
            var runs = try consortium.reveal(item, right, by: Self.readers[0])
            if kind == .masks {
                runs.answerReveal.mask.runs = [1199]
            } else if kind == .measurement {
                runs.answerReveal.measurement += 1
            } else {
                runs.answerReveal.mask.runs = [1200]
            }
            let outcome = try consortium.outcome(runs, by: Self.readers[0], at: 4)
            #expect(outcome == (kind == .measurement ? .doesNotOpen : .answerMalformed))
            #expect(
                try consortium.outcome(
                    consortium.reveal(item, right, by: Self.readers[0]), by: Self.readers[0], at: 4)
                    == nil)
        }
    }

    @Test("an image's size is registered exactly where answers are about pixels")
    func sizes() throws {
        for kind in AnswerKind.allCases {
            var consortium = try founded(kind)
            func refused(_ width: UInt32, _ height: UInt32) throws -> Rejection? {
                let patient = named("patient")
                try consortium.applied([.grant(patient)], by: Self.site)
                var register = WireTransaction.register(
                    "east/1", of: patient, readers: Self.readers.map(\.text))
                register.recordRegister.width = width
                register.recordRegister.height = height
                return try consortium.outcome(register, by: Self.site)
            }
            #expect(try refused(0, 5) == .malformedField)
            #expect(try refused(16_385, 5) == .malformedField)
            #expect(try refused(5, 5) == (kind.isImage ? nil : .malformedField))
        }
    }

    @Test("boxes and masks take 16 readers, other answers 64")
    func readerLimit() throws {
        for kind in AnswerKind.allCases {
            var consortium = try founded(kind)
            let patient = named("patient")
            try consortium.applied([.grant(patient)], by: Self.site)
            func refused(_ count: Int) throws -> Rejection? {
                let readers = (10..<10 + count).map { "annotator/nobody-\($0)" }
                var register = WireTransaction.register("east/1", of: patient, readers: readers)
                register.recordRegister.width = kind.isImage ? 3 : 0
                register.recordRegister.height = kind.isImage ? 2 : 0
                return try consortium.outcome(register, by: Self.site)
            }
            // Nobody of that name is enrolled: that is looked at next.
            #expect(try refused(16) == .readerNotEligible)
            #expect(try refused(17) == (kind.isImage ? .readersMalformed : .readerNotEligible))
            #expect(try refused(65) == .readersMalformed)
        }
    }

    @Test("a period closes also under an agreement with fewer classes than were answered")
    func fewerClasses() throws {
        var consortium = try founded(.ordinal)
        var answers: [ItemID: [Answer]] = [:]
        for number in 0..<4 {
            let grade = Answer.grade(number.isMultiple(of: 2) ? 2 : 5)
            answers[try itemID("east/a\(number)")] = [grade, grade, grade]
        }
        try annotate(&consortium, answers)
        try closePeriod(&consortium)
        // Rows are carried, of a table of 5 by 5, and an item of the open period has grade 5.
        let torn = try itemID("east/b"), fine = try itemID("east/c")
        try annotate(
            &consortium,
            [
                torn: [.grade(5), .grade(5), .grade(5)], fine: [.grade(2), .grade(2), .grade(2)],
            ])
        var fewer = Self.agreement(.ordinal)
        fewer.annotation.classes = 3
        let genesis = try Genesis(strictly: testGenesis(fewer))
        var close = WireTransaction()
        close.periodClose.period = 2
        var changes = ChangeSet(above: consortium.state)
        try Contracts.apply(
            close, id: TransactionID(envelope: .zero, index: 0), signer: Consortium.coordinator,
            in: BlockContext(
                network: consortium.network, terms: TermHistory(genesis: genesis),
                height: consortium.height.next, previous: .zero), to: &changes)
        let pay = changes.value(WirePayState.self, .pay, payKey(2, Self.readers[0]))
        #expect(pay?.answers == 1 && pay?.rows == 1 && pay?.joint.count == 9)
    }
}
