import Contracts
import Cryptography
import Federation
import Ledger
import TestSupport
import Testing
import Wire

@Suite("Terms")
struct TermTests {
    static let hub2 = AccountID(.coordinator, "office-2")
    static let south = AccountID(.site, "south")

    private func grant(_ name: UInt8) -> WireTransaction {
        var transaction = WireTransaction()
        transaction.consentGrant.patient = data(Digest.sha256([name]).bytes)
        transaction.consentGrant.purposes = [.training]
        return transaction
    }

    @Test("the voters replace a lost coordinator, and nothing settled is lost")
    func newCoordinator() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope([grant(1)], by: Consortium.north))
        try chain.run()
        // A second block is certified and unsettled, a third one nobody certified.
        let second = try chain.envelope([grant(2)], by: Consortium.east)
        try chain.submit(second)
        try chain.deliver(try #require(try chain.propose()))
        let third = try chain.envelope([grant(3)], by: Consortium.west)
        try chain.submit(third)
        try chain.deliver(try #require(try chain.propose()), to: [1])
        let settled = chain.voters[1].replica.settled
        // The coordinator is gone with its voter.
        var term = try NewTerm(
            2, coordinator: Self.hub2, replacing: Consortium.coordinator, in: chain)
        try term.collect(from: [1, 2, 3])
        #expect(term.desk.missing(for: Self.hub2, in: term.voter.replica) != [])
        try term.catchUp(from: chain.voters[2])
        let first = try #require(try term.open(now: chain.now + 1_000))
        #expect(first.isFirst && first.slot.term == Term(2))
        #expect(first.header.transactionCount == 0)
        try term.deliver(first, to: [1, 2, 3])
        try term.run(upTo: 6)
        for index in 1...3 {
            let replica = term.chain.voters[index].replica
            #expect(replica.settled.slot.term == Term(2))
            #expect(replica.settled.height > settled.height)
            #expect(replica.rules.coordinator == Self.hub2)
            #expect(try term.isGranted(2, by: index), "the certified block stays")
            #expect(try !term.isGranted(3, by: index), "what nobody certified is dropped")
            #expect(replica.rules.voters.accounts.contains(Self.hub2))
            #expect(!replica.rules.voters.accounts.contains(Consortium.coordinator))
        }
        #expect(term.chain.voters[1].returned.map(\.id) == [third.id])
        // Handed in again, it is applied, and once.
        try term.submit(third)
        try term.submit(second, expecting: "sequenceUsed")
        try term.run(upTo: 6)
        for index in 1...3 { #expect(try term.isGranted(3, by: index)) }
    }

    @Test("a block of the first two of a new voter set needs the quorum of both sets")
    func handOver() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope([grant(1)], by: Consortium.north))
        try chain.run()
        var term = try NewTerm(
            2, coordinator: Self.hub2, replacing: Consortium.coordinator, in: chain)
        try term.collect(from: [1, 2, 3])
        try term.catchUp(from: chain.voters[1])
        let first = try #require(try term.open(now: chain.now + 1_000))
        // Without one of the old quorum there is no certificate, however many of the new vote.
        try term.deliver(first, to: [1, 2])
        #expect(term.coordinator.newestCertificate == nil)
        try term.deliver(first, to: [3])
        #expect(term.coordinator.newestCertificate != nil)
    }

    @Test("a status silences its voter below its term, and is signed once a number")
    func statuses() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope([grant(1)], by: Consortium.north))
        let first = try #require(try chain.propose())
        try chain.deliver(first)
        let decision = try NewTerm.decision(
            2, coordinator: Self.hub2, replacing: Consortium.coordinator, in: chain)
        let rival = try NewTerm.decision(
            2, coordinator: AccountID(.coordinator, "office-3"),
            replacing: Consortium.coordinator, in: chain)
        let status = try chain.voters[3].status(for: decision)
        #expect(status.certificate == chain.voters[3].replica.journal.highest)
        #expect(throws: StatusRefusal.promised(Term(2))) {
            try chain.voters[3].status(for: rival)
        }
        try chain.voters[3].restart()
        #expect(throws: StatusRefusal.promised(Term(2))) {
            try chain.voters[3].status(for: decision)
        }
        // The term goes on without it: it follows, and gives no vote.
        let next = try #require(try chain.propose())
        guard case .commit(let commitment) = try chain.voters[3].consider(next, now: chain.now)
        else {
            Issue.record("a silent voter follows")
            return
        }
        #expect(commitment.votes.isEmpty)
        #expect(chain.voters[3].replica.head.hash == next.hash)
    }

    @Test("an opening with too few, foreign, mixed or higher statuses opens nothing")
    func badOpenings() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope([grant(1)], by: Consortium.north))
        try chain.run()
        let decision = try NewTerm.decision(
            2, coordinator: Self.hub2, replacing: Consortium.coordinator, in: chain)
        let other = try NewTerm.decision(
            3, coordinator: Self.hub2, replacing: Consortium.coordinator, in: chain)
        let statuses = try (1...3).map {
            try chain.voters[$0].replica.status(for: decision).statuses[0]
        }
        let wrong = try chain.voters[3].replica.status(for: other).statuses[0]
        let head = chain.voters[1].replica.head
        let network = chain.genesis.network
        func fault(_ statuses: [Status], above slot: Slot = head.slot) -> TermFault? {
            do {
                try Opening(decision: decision, statuses: statuses, network: network)
                    .verify(above: slot, inForce: head.terms.inForce, network: network)
                return nil
            } catch { return error }
        }
        #expect(fault(statuses) == nil)
        #expect(fault(Array(statuses.prefix(2))) == .tooFew(statuses: 2, quorum: 3))
        #expect(
            fault(statuses.prefix(2) + [statuses[0]]) == .tooFew(statuses: 2, quorum: 3),
            "each signer counts once")
        #expect(fault(statuses.prefix(2) + [wrong]) == .otherDecision)
        let foreign = try Status(
            decision: decision, lastVote: nil, highest: nil, voter: Self.south, network: network,
            key: voteKey(of: Self.south))
        #expect(fault(statuses + [foreign]) == .notAVoter(Self.south.text))
        let low = Slot(term: .first, height: Height(head.height.value - 2))
        #expect(fault(statuses, above: low) == .higherStatus(statuses[0].highest))
    }

    @Test("what a dropped block held waits again at a coordinator that follows another branch")
    func takesBack() throws {
        var chain = try MemoryChain()
        let envelope = try chain.envelope([grant(1)], by: Consortium.north)
        try chain.submit(envelope)
        try chain.deliver(try #require(try chain.propose()))
        let dropped = chain.voters[1].replica.unsettled
        #expect(dropped.contains { $0.block.envelopes.contains { $0.id == envelope.id } })
        var coordinator = Coordinator(
            genesis: chain.genesis, account: Self.hub2, key: try signingKey(of: Self.hub2))
        coordinator.takeBack(dropped)
        #expect(coordinator.holds(envelope.id))
        var signer = Coordinator(
            genesis: chain.genesis, account: Consortium.north,
            key: try signingKey(of: Consortium.north))
        signer.takeBack(dropped)
        #expect(!signer.holds(envelope.id), "its own it makes anew")
    }

    @Test("a ballot speaks for its organisation in every set that lists it, under any of its keys")
    func ballotsOfOrganisations() throws {
        let chain = try MemoryChain()
        var keys = chain.genesis.voters.keys
        keys[Consortium.north] = try voteKey(of: Self.south).verifyingKey
        let sets = [chain.genesis.voters, VoterSet(keys: keys, majority: false)]
        let decision = try NewTerm.decision(
            2, coordinator: Self.hub2, replacing: Consortium.coordinator, in: chain)
        func supported(northSignsAs account: AccountID) throws -> Bool {
            var desk = TermDesk()
            desk.add(decision)
            for (voter, key) in [
                (Consortium.north, account), (Consortium.east, Consortium.east),
                (Consortium.west, Consortium.west),
            ] {
                desk.add(
                    try Ballot(
                        decision: decision.hash, voter: voter, network: chain.genesis.network,
                        key: voteKey(of: key)))
            }
            let network = chain.genesis.network
            return desk.supported(by: sets, above: .first, network: network) == [decision]
        }
        #expect(try supported(northSignsAs: Consortium.north))
        #expect(try supported(northSignsAs: Self.south))
        #expect(try !supported(northSignsAs: Self.hub2), "a key of neither set")
    }

    @Test("the old voters alone take back a change of voters that nobody certified")
    func takesBackChange() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope([grant(1)], by: Consortium.north))
        try chain.run()
        var term = try NewTerm(
            2, coordinator: Self.hub2, replacing: Consortium.coordinator, in: chain)
        try term.collect(from: [1, 2, 3])
        try term.catchUp(from: chain.voters[1])
        let first = try #require(try term.open(now: chain.now + 1_000))
        try term.deliver(first, to: [1])
        let network = chain.genesis.network
        // It names the old coordinator, who has left in the state after the first block.
        let decision = try NewTerm.decision(
            3, coordinator: Consortium.coordinator, replacing: Self.hub2, isMember: true, in: chain)
        var desk = TermDesk()
        desk.add(decision)
        for account in [Consortium.coordinator, Consortium.north, Consortium.east] {
            desk.add(
                try Ballot(
                    decision: decision.hash, voter: account, network: network,
                    key: voteKey(of: account)))
        }
        func isSupported(in replica: Replica) -> Bool {
            desk.supported(
                by: replica.decidingSets, above: replica.rules.term, network: network)
                == [decision]
        }
        let shown = term.chain.voters[1].replica
        #expect(shown.head.hash == first.hash && shown.decidingSets == [chain.genesis.voters])
        #expect(shown.speakingSets == shown.head.terms.inForce)
        #expect(isSupported(in: shown))
        #expect(throws: Never.self) { try shown.check(decision) }
        // Once it is certified both voter sets must be for it.
        try term.deliver(first, to: [2, 3])
        #expect(term.voter.replica.decidingSets == shown.speakingSets)
        #expect(!isSupported(in: term.voter.replica))
        #expect(throws: Rejection.self) { try term.voter.replica.check(decision) }
    }

    @Test("a status under a key without a vote above the parent does not spoil the opening")
    func statusOfAnotherBranch() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope([grant(1)], by: Consortium.north))
        try chain.run()
        var term = try NewTerm(
            2, coordinator: Self.hub2, replacing: Consortium.coordinator, in: chain)
        try term.collect(from: [1, 2, 3])
        // Such as the new key of a voter in a term that was opened and left behind.
        let status = try Status(
            decision: term.decision, lastVote: nil, highest: nil, voter: Self.south,
            network: chain.genesis.network, key: voteKey(of: Self.south))
        var report = WireStatusReport()
        report.status = data(status.bytes)
        term.desk.add(report)
        try term.catchUp(from: chain.voters[1])
        #expect(try term.open(now: chain.now + 1_000)?.slot.term == Term(2))
    }

    @Test("a changed agreement is in force from the first block of its term")
    func agreement() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope([grant(1)], by: Consortium.north))
        try chain.run()
        var agreement = chain.genesis.agreement
        agreement.chain.blockIntervalMs = 75
        var term = try NewTerm(
            2, coordinator: Self.hub2, replacing: Consortium.coordinator, agreement: agreement,
            in: chain)
        try term.collect(from: [1, 2, 3])
        try term.catchUp(from: chain.voters[1])
        let first = try #require(try term.open(now: 0))
        let parent = try #require(chain.voters[1].replica.tip(of: first.header.previous))
        #expect(first.header.timeMilliseconds == parent.timeMilliseconds + 75)
        try term.deliver(first, to: [1, 2, 3])
        #expect(term.chain.voters[1].replica.rules.agreement.chain.blockIntervalMs == 75)
        #expect(
            term.chain.voters[1].replica.head.terms.rules(at: parent.height).agreement
                == chain.genesis.agreement)
    }

    @Test("history read back from openings equals history walked block by block", arguments: 0..<60)
    func history(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let genesis = try Genesis(strictly: testGenesis())
        let chain = try MemoryChain()
        var walked = TermHistory(genesis: genesis)
        var openings: [(height: Height, opening: Opening)] = []
        var term = UInt64(1)
        var height = Height.genesis
        for _ in 0..<Int.random(in: 1...12, using: &random) {
            height = height.next
            let isNew = Int.random(in: 0..<3, using: &random) == 0
            if isNew {
                term += UInt64.random(in: 1...3, using: &random)
                let decision = try NewTerm.decision(
                    term, coordinator: AccountID(.coordinator, "c\(term)"),
                    replacing: walked.newest.coordinator, voters: walked.newest.voters, in: chain)
                let opening = Opening(
                    decision: decision, statuses: [], network: genesis.network)
                openings.append((height, opening))
                walked.advance(
                    to: walked.rules(opening: opening, firstHeight: height), isFirst: true)
            } else {
                walked.advance(to: walked.newest, isFirst: height == Height(1))
            }
        }
        #expect(TermHistory(genesis: genesis, openings: openings, upTo: height) == walked)
    }
}

/// A new coordinator with its own voter, opening a term beside a chain that lost its coordinator.
struct NewTerm {
    var chain: MemoryChain
    let decision: Decision
    var coordinator: Coordinator
    var voter: MemoryVoter
    var desk = TermDesk()

    init(
        _ term: UInt64, coordinator account: AccountID, replacing old: AccountID,
        agreement: WireAgreement? = nil, in chain: MemoryChain
    ) throws {
        self.chain = chain
        decision = try Self.decision(
            term, coordinator: account, replacing: old, agreement: agreement, in: chain)
        coordinator = Coordinator(
            genesis: chain.genesis, account: account, key: try signingKey(of: account))
        voter = try MemoryVoter(account, chain.genesis)
        desk.add(decision)
    }

    static func decision(
        _ term: UInt64, coordinator: AccountID, replacing old: AccountID,
        voters: VoterSet? = nil, agreement: WireAgreement? = nil, isMember: Bool = false,
        in chain: MemoryChain
    ) throws -> Decision {
        var keys = (voters ?? chain.genesis.voters).keys
        keys[old] = nil
        keys[coordinator] = try voteKey(of: coordinator).verifyingKey
        var wire = WireDecision()
        wire.term = term
        wire.coordinator = coordinator.text
        wire.coordinatorKey = data(try signingKey(of: coordinator).verifyingKey.bytes)
        wire.voters = VoterSet(keys: keys, majority: false).wire
        wire.members = isMember ? [] : [data(try memberDocument(coordinator))]
        wire.leaving = [old.text]
        if let agreement { wire.agreement = agreement }
        return try Decision(strictly: wire.encoded(), network: chain.genesis.network)
    }

    /// People vote, then their workers sign.
    mutating func collect(from voters: [Int]) throws {
        for index in voters {
            let account = chain.voters[index].account
            desk.add(
                try Ballot(
                    decision: decision.hash, voter: account, network: chain.genesis.network,
                    key: voteKey(of: account)))
        }
        for index in voters {
            for report in try chain.voters[index].status(for: decision).reports {
                desk.add(try WireStatusReport(strictly: report))
            }
        }
    }

    /// The new coordinator's replica takes another's chain.
    mutating func catchUp(from other: MemoryVoter) throws {
        for block in chain.blocks(of: other) {
            _ = try voter.consider(block, now: .max - 100_000)
        }
    }

    mutating func open(now: UInt64) throws -> Block? {
        let plan = desk.plan(
            for: coordinator.account, key: try signingKey(of: coordinator.account).verifyingKey,
            in: voter.replica, isOpened: { _ in false })
        guard let plan else { return nil }
        return try coordinator.open(
            plan.opening, above: plan.parent, certificate: plan.certificate,
            replica: &voter.replica, now: now)
    }

    mutating func deliver(_ block: Block, to reached: [Int]) throws {
        var votes: [Vote] = []
        if coordinator.proposal?.hash != block.hash,
            case .commit(let own) = try voter.consider(block, now: chain.now + 10_000)
        {
            coordinator.appended(block, needing: own.block.tip.terms.certifying)
            votes += own.votes
        }
        for index in reached {
            if case .commit(let commitment) = try chain.voters[index].consider(
                block, now: chain.now + 10_000)
            {
                votes += commitment.votes
            }
        }
        for vote in votes { _ = try coordinator.count(vote) }
        if let certificate = coordinator.newestCertificate { voter.replica.learn(certificate) }
    }

    mutating func run(upTo limit: Int) throws {
        for _ in 0..<limit {
            chain.now += 2_000
            let block = try coordinator.propose(above: &voter.replica, now: chain.now)
            guard let block else { return }
            try deliver(block, to: [1, 2, 3])
        }
    }

    mutating func submit(_ envelope: Envelope, expecting code: String? = nil) throws {
        do throws(AdmissionRefusal) {
            try coordinator.admit(envelope, above: &voter.replica)
            coordinator.keep(envelope)
            #expect(code == nil)
        } catch { #expect(error.code == code) }
    }

    func isGranted(_ name: UInt8, by index: Int) throws -> Bool {
        let key = StateKey(.consents, Digest.sha256([name]).bytes)
        return try chain.voters[index].replica.headState.value(at: key) != nil
    }
}
