import Contracts
import Cryptography
import Federation
import Ledger
import TestSupport
import Testing
import Wire

@Suite("A voter that floods the others with decisions")
struct FloodTests {
    private let chain: MemoryChain
    private let liar = Consortium.west
    private let base: Decision

    init() throws {
        var chain = try MemoryChain()
        var transaction = WireTransaction()
        transaction.consentGrant.patient = data(Digest.sha256([1]).bytes)
        transaction.consentGrant.purposes = [.training]
        try chain.submit(chain.envelope([transaction], by: Consortium.north))
        try chain.run()
        self.chain = chain
        base = try NewTerm.decision(
            2, coordinator: TermTests.hub2, replacing: Consortium.coordinator, in: chain)
    }

    private var network: NetworkID { chain.genesis.network }
    private var replica: Replica { chain.voters[1].replica }

    private func wire(_ term: UInt64, _ reason: String = "") throws -> WireDecision {
        var wire = try WireDecision(strictly: base.bytes)
        wire.term = term
        wire.reason = reason
        return wire
    }

    private func decision(_ term: UInt64, _ reason: String = "") throws -> Decision {
        try Decision(strictly: wire(term, reason).encoded(), network: network)
    }

    private func told(_ decisions: [Decision], by voter: AccountID) throws -> WireExchange {
        var exchange = WireExchange()
        for decision in decisions {
            exchange.decisions.append(data(decision.bytes))
            exchange.ballots.append(data(try ballot(decision, by: voter).bytes))
        }
        return exchange
    }

    private func ballot(_ decision: Decision, by voter: AccountID) throws -> Ballot {
        try Ballot(
            decision: decision.hash, voter: voter, network: network, key: voteKey(of: voter))
    }

    @discardableResult
    private func learn(_ exchange: WireExchange, at desk: inout TermDesk) -> TermDesk.News {
        desk.learn(
            from: exchange, for: Consortium.north, sets: replica.speakingSets,
            above: replica.rules.term, network: network
        ) { decision in (try? replica.check(decision)) != nil }
    }

    @Test("its decisions stay few, and nobody else's gives way to them")
    func crowding() throws {
        var desk = TermDesk()
        let early = try decision(2, "told before the flood")
        learn(try told([early], by: Consortium.east), at: &desk)
        var forgotten: [Digest] = []
        for number in UInt64(0)..<60 {
            let news = learn(
                try told([decision(901 + number)], by: liar), at: &desk)
            #expect(news.decisions.count == 1, "a newer one takes the place of an older")
            forgotten += news.forgotten
            #expect(desk.decisions(above: .first).count <= 1 + TermDesk.decisionsPerVoter)
        }
        #expect(forgotten.count == 60 - TermDesk.decisionsPerVoter)
        #expect(forgotten.allSatisfy { desk[$0] == nil })
        // Others at the same number never make room for themselves.
        let same = try (0..<10).map { try decision(957, "number \($0)") }
        #expect(learn(try told(same, by: liar), at: &desk).isEmpty)
        // Whoever speaks after the flood is heard, and the liar's word for it changes nothing.
        let late = try decision(3, "told after the flood")
        learn(try told([late], by: Consortium.east), at: &desk)
        learn(try told([late], by: liar), at: &desk)
        #expect(desk[early.hash] == early)
        #expect(desk.ballots(for: late.hash).map(\.voter) == [Consortium.east, liar].sorted())
    }

    @Test("what this organisation's people are for, and what a quorum is for, is never forgotten")
    func kept() throws {
        var desk = TermDesk()
        let own = try decision(2, "ours")
        let supported = try decision(3, "of a quorum")
        desk.add(own)
        desk.add(try ballot(own, by: Consortium.north))
        for voter in [liar, Consortium.east, Consortium.coordinator] {
            learn(try told([supported], by: voter), at: &desk)
        }
        learn(try told([own], by: liar), at: &desk)
        for number in UInt64(0)..<10 {
            for voter in [liar, Consortium.east, Consortium.coordinator] {
                learn(try told([decision(11 + number, "\(voter)")], by: voter), at: &desk)
            }
        }
        #expect(desk[own.hash] == own)
        #expect(desk[supported.hash] == supported)
    }

    @Test("a number out of reach, a decision too large and one that cannot be are not taken")
    func refused() throws {
        var desk = TermDesk()
        let far = try decision(Decision.termReach + 2)
        let far2 = try decision(Decision.lastTerm)
        var impossible = try wire(2)
        impossible.leaving = [Consortium.coordinator.text, TermTests.hub2.text].sorted()
        let leaving = try Decision(strictly: impossible.encoded(), network: network)
        #expect(throws: Rejection.self) { try replica.check(leaving) }
        for decision in [far, far2, leaving] {
            #expect(learn(try told([decision], by: liar), at: &desk).isEmpty)
        }
        let last = try decision(Decision.termReach + 1)
        #expect(learn(try told([last], by: liar), at: &desk).decisions == [last])
        // Accounts that nobody ever heard of may leave as well, but not without end.
        var large = try wire(2)
        large.leaving = (0..<14_000).map { "site/invented-\(10_000_000 + $0)" }
        let bytes = large.encoded()
        #expect(bytes.count > Decision.maximumBytes)
        #expect(throws: TermFault.tooLarge(bytes: bytes.count)) {
            try Decision(strictly: bytes, network: network)
        }
    }

    @Test("an opening further than a thousand numbers above the term before opens nothing")
    func openingOutOfReach() throws {
        let sets = replica.head.terms.inForce
        func fault(_ term: UInt64) throws -> TermFault? {
            let opening = Opening(decision: try decision(term), statuses: [], network: network)
            do {
                try opening.verify(above: replica.head.slot, inForce: sets, network: network)
                return nil
            } catch { return error }
        }
        #expect(try fault(1_002) == .tooFarAbove(.first))
        #expect(try fault(1_001) == .tooFew(statuses: 0, quorum: 3))
    }

    @Test("a message holds what this organisation is for before all else, and has an end")
    func telling() throws {
        func large(_ term: UInt64) throws -> Decision {
            var wire = try wire(term)
            wire.leaving =
                ([Consortium.coordinator.text]
                + (0..<10_000).map { "site/invented-\(10_000_000 + $0)" }).sorted()
            return try Decision(strictly: wire.encoded(), network: network)
        }
        var desk = TermDesk()
        // Five of another voter, each with more ballots than ours, fill more than a message.
        for term in UInt64(10)..<15 {
            let decision = try large(term)
            desk.add(decision)
            desk.add(try ballot(decision, by: liar))
            desk.add(try ballot(decision, by: Consortium.east))
        }
        let own = try decision(2, "ours")
        desk.add(own)
        desk.add(try ballot(own, by: Consortium.north))
        let small = try decision(3, "small")
        desk.add(small)
        desk.add(try ballot(small, by: Consortium.east))
        // A status may carry whatever its voter calls a certificate.
        var sizes = 0
        for voter in 1...3 {
            for report in try chain.voters[voter].replica.status(for: own).reports {
                var padded = try WireStatusReport(strictly: report)
                padded.certificate = data([UInt8](repeating: 7, count: 700 << 10))
                sizes += padded.encoded().count
                desk.add(padded)
            }
        }
        #expect(sizes > TermDesk.toldBytes)
        var exchange = WireExchange()
        desk.tell(&exchange, for: Consortium.north, above: .first)
        #expect(exchange.decisions.first.map { [UInt8]($0) } == own.bytes)
        #expect(exchange.decisions.contains(data(small.bytes)), "there is room for a small one")
        #expect(exchange.decisions.count < 7)
        let statements = try exchange.statuses.map {
            try Status(strictly: [UInt8](WireStatusReport(strictly: [UInt8]($0)).status)).voter
        }
        #expect(statements == [Consortium.north])
        var request = WireRequest()
        request.exchange = exchange
        #expect(request.encoded().count <= 2 * TermDesk.toldBytes + (64 << 10))
    }

    @Test("after so many signatures that nobody gave no more of a message are looked at")
    func bad() throws {
        let forged = try Ballot(
            decision: base.hash, voter: Consortium.east, network: network, key: voteKey(of: liar))
        let honest = try ballot(base, by: Consortium.east)
        func news(bad count: Int) -> TermDesk.News {
            var desk = TermDesk()
            var exchange = WireExchange()
            exchange.decisions = [data(base.bytes)]
            exchange.ballots =
                Array(repeating: data(forged.bytes), count: count) + [data(honest.bytes)]
            return learn(exchange, at: &desk)
        }
        #expect(news(bad: TermDesk.badLimit - 1).decisions == [base])
        #expect(news(bad: TermDesk.badLimit).isEmpty)
    }

    @Test("one voter's statuses for a decision leave room for everybody's")
    func statuses() throws {
        var desk = TermDesk()
        let decision = try decision(2)
        var exchange = try told([decision], by: Consortium.east)
        for term in UInt64(1)..<100 {
            let status = try Status(
                decision: decision, lastVote: Slot(term: .first, height: Height(term)),
                highest: nil, voter: liar, network: network, key: voteKey(of: liar))
            var report = WireStatusReport()
            report.status = data(status.bytes)
            exchange.statuses.append(data(report.encoded()))
        }
        let honest = try chain.voters[2].replica.status(for: decision)
        exchange.statuses += honest.reports.map { data($0) }
        learn(exchange, at: &desk)
        let voters = desk.reports(for: decision.hash).map(\.status.voter)
        #expect(voters.count { $0 == liar } <= 4)
        #expect(voters.contains(chain.voters[2].account))
    }

    @Test(
        "a reason with a character that could forge lines of output is refused",
        arguments: [
            "a\nb", "a\u{1B}[2K", "\u{0}", "a\u{9B}1m", "\u{2028}", "\u{202E}ab", "\u{2066}",
        ])
    func reasons(reason: String) throws {
        #expect(throws: TermFault.badReason) { try decision(2, reason) }
        #expect(throws: Never.self) { try decision(2, "Müller löst ab, 3 — 4 €") }
        #expect(throws: TermFault.badReason) {
            try decision(2, String(repeating: "x", count: 1_001))
        }
    }
}
