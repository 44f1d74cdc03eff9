import Contracts
import Cryptography
import Federation
import Ledger
import TestSupport
import Testing
import Wire

@Suite("Floods at the heartbeat, and peers that go in circles")
struct FloodTests {
    private let chain: MemoryChain
    private let decision: Decision
    private let other: Decision
    /// Four voters with two keys each.
    private let most = 8

    private var sets: [VoterSet] { [chain.genesis.voters] }
    private var network: NetworkID { chain.genesis.network }

    init() throws {
        chain = try MemoryChain()
        decision = try NewTerm.decision(
            2, coordinator: TermTests.hub2, replacing: Consortium.coordinator, in: chain)
        other = try NewTerm.decision(
            3, coordinator: TermTests.hub2, replacing: Consortium.coordinator, in: chain)
    }

    private func ballot(of voter: AccountID, signedBy signer: AccountID) throws -> Ballot {
        try Ballot(
            decision: decision.hash, voter: voter, network: network, key: voteKey(of: signer))
    }

    private func status(of voter: AccountID, lastVote height: UInt64) throws -> WireStatusReport {
        var report = WireStatusReport()
        report.status = data(
            try Status(
                decision: decision, lastVote: Slot(term: .first, height: Height(height)),
                highest: nil, voter: voter, network: network, key: voteKey(of: voter)
            ).bytes)
        return report
    }

    private func votes(_ count: Int) throws -> Certificate {
        let slot = Slot(term: .first, height: Height(1))
        let entries = try (0..<count).map { index in
            Certificate.Entry(
                voter: AccountID(.site, "s\(index)"),
                signature: try Vote(
                    voter: Consortium.north, slot: slot, block: .zero, network: network,
                    key: voteKey(of: Consortium.north)
                ).signature)
        }
        return Certificate(slot: slot, block: .zero, entries: entries)
    }

    @Test("more ballots, statuses or votes than voters sign are refused before any is looked at")
    func floods() throws {
        var desk = TermDesk()
        // The decision counts as known, and its own voters as voters: the new coordinator is one.
        #expect(desk.limit(sets: sets) == most)
        let good = try ballot(of: Consortium.north, signedBy: Consortium.north)
        let report = try status(of: Consortium.north, lastVote: 1)
        var exchange = WireExchange()
        exchange.decisions = [data(decision.bytes)]
        exchange.certificate = data(try votes(most).bytes)
        exchange.ballots = Array(repeating: data(good.bytes), count: most)
        exchange.statuses = Array(repeating: data(report.encoded()), count: most)
        #expect(!desk.isFlood(exchange, sets: sets))
        var floods = Array(repeating: exchange, count: 4)
        floods[0].ballots.append(data(good.bytes))
        floods[1].statuses.append(data(report.encoded()))
        floods[2].certificate = data(try votes(most + 1).bytes)
        floods[3].decisions = Array(
            repeating: data(decision.bytes), count: TermDesk.decisionLimit + 1)
        for flood in floods {
            #expect(desk.isFlood(flood, sets: sets))
            #expect(desk.learn(from: flood, sets: sets, above: .first, network: network).isEmpty)
        }
        let news = desk.learn(from: exchange, sets: sets, above: .first, network: network)
        #expect(news.decisions == [decision] && news.ballots == [good] && news.statuses == 1)
        #expect(desk.limit(sets: sets) == most + 2)
    }

    @Test("after so many bad ballots no more of an exchange are looked at")
    func badBallots() throws {
        func news(bad count: Int) throws -> TermDesk.News {
            var desk = TermDesk()
            var exchange = WireExchange()
            exchange.decisions = [data(decision.bytes), data(other.bytes)]
            let bad = try ballot(of: Consortium.north, signedBy: Consortium.east)
            let good = try ballot(of: Consortium.east, signedBy: Consortium.east)
            exchange.ballots =
                Array(repeating: data(bad.bytes), count: count) + [data(good.bytes)]
            return desk.learn(from: exchange, sets: sets, above: .first, network: network)
        }
        #expect(try news(bad: most - 1).decisions == [decision])
        #expect(try news(bad: most).isEmpty)
    }

    @Test("a voter that signs many statuses takes nobody else's place")
    func manyStatuses() throws {
        var desk = TermDesk()
        desk.add(decision)
        for height in UInt64(1)...20 {
            desk.add(try status(of: Consortium.north, lastVote: height))
        }
        desk.add(try status(of: Consortium.east, lastVote: 1))
        let voters = desk.reports(for: decision.hash).map(\.status.voter)
        #expect(voters.count { $0 == Consortium.north } == 2)
        #expect(voters.count { $0 == Consortium.east } == 1)
        var exchange = WireExchange()
        desk.add(try ballot(of: Consortium.east, signedBy: Consortium.east))
        desk.tell(&exchange, above: .first)
        #expect(exchange.statuses.count == 3)
        #expect(!TermDesk().isFlood(exchange, sets: sets), "what honest nodes tell is no flood")
    }

    @Test("a peer that alternates a known block and another branch is left after one way back")
    func circles() throws {
        var chain = try ProvenChain()
        for _ in 0..<4 { try chain.append() }
        let genesis = Tip(genesis: chain.genesis)
        let block = chain.blocks[3]
        let head = Tip(
            slot: block.slot, hash: block.hash, timeMilliseconds: 0, log: genesis.log,
            terms: genesis.terms)
        var walk = BlockWalk(from: head)
        var (rounds, known) = (0, 0)
        // It says "another branch", then shows the first block again, for ever.
        while rounds < 100 {
            rounds += 1
            guard walk.turnBack(to: genesis) else { break }
            while walk.advance(to: chain.blocks[0]) { known += 1 }
        }
        #expect(rounds == 2 && known == 1)
        // An honest one shows each block once, from the settled one on.
        var honest = BlockWalk(from: head)
        let isBack = honest.turnBack(to: genesis)
        #expect(isBack)
        for block in chain.blocks {
            let isNext = honest.advance(to: block)
            #expect(isNext && honest.hash == block.hash && honest.height == block.height)
        }
        let isAgain = honest.advance(to: block)
        #expect(!isAgain, "a block is not its own child")
        var settled = BlockWalk(from: genesis)
        let turns = settled.turnBack(to: genesis)
        #expect(!turns, "nothing is below the settled block")
    }
}
