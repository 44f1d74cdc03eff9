import Contracts
import Cryptography
import Federation
import Ledger
import TestSupport
import Testing
import Wire

@Suite("One coordinator's chain")
struct ChainTests {
    private func grants(_ count: Int) -> [WireTransaction] {
        (0..<count).map { index in
            var transaction = WireTransaction()
            transaction.consentGrant.patient = data(Digest.sha256([UInt8(index)]).bytes)
            transaction.consentGrant.purposes = [.training]
            return transaction
        }
    }

    @Test("a block is settled once its child is certified, and then the chain is silent")
    func settlesAndFallsSilent() throws {
        var chain = try MemoryChain()
        #expect(try chain.propose() == nil, "nothing waits")
        try chain.submit(chain.envelope(grants(3), by: Consortium.north))
        let blocks = try chain.run()
        #expect(blocks == 3, "the block, its child and the child that carries its certificate")
        for voter in chain.voters {
            #expect(voter.replica.settled.height == Height(1))
            #expect(voter.replica.settled.log.size == 3)
            #expect(voter.state.all == chain.voters[0].state.all)
        }
    }

    @Test("one voter of four may be down, two stop the chain without a fork")
    func quorum() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope(grants(1), by: Consortium.east))
        let first = try #require(try chain.propose())
        try chain.deliver(first, to: [0, 1, 2])
        let second = try #require(try chain.propose())
        try chain.deliver(second, to: [0, 1])
        #expect(chain.coordinator.newestCertificate == nil)
        #expect(try chain.propose() == nil, "the parent is not certified")
        guard case .commit(let late) = try chain.voters[2].consider(second, now: chain.now) else {
            Issue.record("the third voter should vote")
            return
        }
        let completes = try chain.coordinator.count(try #require(late.votes.first))
        #expect(completes)
        #expect(try chain.propose() != nil)
    }

    @Test("a rejected transaction stays in its block and changes nothing")
    func rejectedTransaction() throws {
        var chain = try MemoryChain()
        var withdrawal = WireTransaction()
        withdrawal.consentWithdraw.patient = data(Digest.sha256([9]).bytes)
        withdrawal.consentWithdraw.purposes = [.training]
        try chain.submit(
            chain.envelope([withdrawal] + grants(1), by: Consortium.north))
        let block = try #require(try chain.propose())
        try chain.deliver(block)
        let outcomes = try #require(chain.replica.unsettled.first).execution.effects.map(\.outcome)
        #expect(outcomes == [Rejection.noConsentToWithdraw.rawValue, 0])
    }

    @Test("after a restart a voter repeats its vote and goes on", arguments: 1...4)
    func restart(blocks: Int) throws {
        var chain = try MemoryChain()
        for index in 0..<blocks {
            try chain.submit(chain.envelope(grants(index + 1), by: Consortium.west))
            try chain.deliver(try #require(try chain.propose()))
        }
        let head = try #require(chain.replica.unsettled.last).block
        for index in chain.voters.indices { try chain.voters[index].restart() }
        #expect(chain.replica.head.hash == head.hash)
        guard case .known = try chain.voters[1].consider(head, now: chain.now) else {
            Issue.record("the head should be known after a restart")
            return
        }
        try chain.run()
        #expect(chain.replica.settled.height >= Height(UInt64(blocks)))
        #expect(Set(chain.voters.map(\.replica.settled.hash)).count == 1)
    }

    @Test("the coordinator's own transactions and what fell due share one envelope, signed last")
    func ownTransactions() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope(grants(1), by: Consortium.north))
        var enrol = WireTransaction()
        enrol.memberEnrol.member = data(try memberDocument(AccountID(.developer, "guest")))
        chain.coordinator.contribute([enrol])
        let block = try #require(try chain.propose())
        #expect(block.envelopes.map(\.signer) == [Consortium.north, Consortium.coordinator])
        try chain.deliver(block)
        #expect(chain.replica.unsettled[0].execution.effects.allSatisfy { $0.outcome == 0 })
    }
}

@Suite("What the coordinator accepts")
struct AdmissionTests {
    private func grant() -> WireTransaction {
        var transaction = WireTransaction()
        transaction.consentGrant.patient = data(Digest.sha256([1]).bytes)
        transaction.consentGrant.purposes = [.training]
        return transaction
    }

    private func refusal(_ body: () throws -> Void) -> AdmissionRefusal? {
        do {
            try body()
            return nil
        } catch { return error as? AdmissionRefusal }
    }

    @Test("an unregistered signer, a foreign key and a short life are refused")
    func refusals() throws {
        var chain = try MemoryChain()
        let stranger = AccountID(.site, "south")
        let unknown = try chain.envelope([grant()], by: stranger)
        #expect(refusal { try chain.submit(unknown) }?.code == "unknownSigner")
        let forged = try chain.envelope(
            [grant()], by: Consortium.north, key: signingKey(of: Consortium.east))
        #expect(refusal { try chain.submit(forged) }?.code == "badSignature")
        let brief = try chain.envelope([grant()], by: Consortium.west, notAfter: 3)
        #expect(refusal { try chain.submit(brief) }?.code == "tooShortLived")
    }

    @Test("a used sequence is refused and the next free one named, in the pool and on the chain")
    func usedSequence() throws {
        var chain = try MemoryChain()
        try chain.submit(chain.envelope([grant()], by: Consortium.north, sequence: 7))
        let again = try chain.envelope([grant(), grant()], by: Consortium.north, sequence: 7)
        #expect(
            refusal { try chain.submit(again) }
                == .inadmissible(
                    .sequenceUsed(Consortium.north, sequence: 7, next: 8)))
        try chain.run()
        #expect(
            refusal { try chain.submit(again) }
                == .inadmissible(
                    .sequenceUsed(Consortium.north, sequence: 7, next: 8)))
        #expect(chain.coordinator.nextSequence(of: Consortium.north, above: chain.replica) == 8)
    }

    @Test("an envelope under another's key is refused before its transactions are read")
    func sealed() throws {
        let chain = try MemoryChain()
        func sealed(_ key: SigningKey) throws -> SealedEnvelope {
            var header = WireEnvelopeHeader()
            header.signer = Consortium.north.text
            header.sequence = 1
            header.notAfterHeight = .max
            header.transactionCount = 1
            let headerBytes = header.encoded()
            var outer = WireEnvelope()
            outer.header = data(headerBytes)
            let network = chain.genesis.network
            outer.signature = data(
                try key.sign(payload(.envelope, network: network, headerBytes)).bytes)
            outer.transactions = [data([0xff, 0xff])]
            return try SealedEnvelope(strictly: outer.encoded(), network: network)
        }
        let own = try sealed(signingKey(of: Consortium.north))
        let foreign = try sealed(signingKey(of: Consortium.east))
        let coordinator = chain.coordinator
        var replica = chain.replica
        #expect(
            refusal { try coordinator.admit(foreign, above: &replica) }?.code == "badSignature")
        try coordinator.admit(own, above: &replica)
        #expect(throws: EnvelopeFault.wrongRoot) { try Envelope(opening: own) }
    }

    @Test("the coordinator's own transactions never outgrow the envelope that signs them")
    func ownRoom() throws {
        var chain = try MemoryChain()
        let small = [WireTransaction](repeating: .closeItem("east/1"), count: 19_000)
        #expect(chain.coordinator.hasRoom(for: small))
        chain.coordinator.contribute(small)
        #expect(!chain.coordinator.hasRoom(for: [.closeItem("east/1")]))
        #expect(try chain.run() > 0)
        var large = WireTransaction()
        large.roundClose.values = data([UInt8](repeating: 1, count: 700 << 10))
        #expect(chain.coordinator.hasRoom(for: [large]))
        chain.coordinator.contribute([large])
        #expect(!chain.coordinator.hasRoom(for: [large]))
        #expect(try chain.run() > 0)
    }

    @Test("a sequence far above the last one is refused, and the last of all stops nobody else")
    func lastSequence() throws {
        var chain = try MemoryChain()
        let far = try chain.envelope([grant()], by: Consortium.north, sequence: .max)
        #expect(refusal { try chain.submit(far) }?.code == "sequenceTooFar")
        try chain.submit(
            chain.envelope([grant()], by: Consortium.north, sequence: largestSequenceStep))
        try chain.run()
        try chain.submit(chain.envelope([grant()], by: Consortium.east))
        #expect(try chain.run() > 0)
    }
}
