import Cryptography
import Ledger
import TestSupport
import Wire

extension FuzzTarget {
    static func receipt(_ world: FuzzWorld) throws -> Self {
        guard let key = world.signing[Consortium.coordinator]?.verifyingKey else {
            throw NotTaken("the coordinator has no key")
        }
        let seed = try world.receipt().wire.encoded()
        return Self("receipt", .protobuf, seeds: [seed], mend: world.mendReceipt) { bytes in
            let wire = try WireReceipt(strictly: bytes)
            guard let receipt = Receipt(wire, coordinator: key, network: world.network) else {
                throw NotTaken("no receipt of the coordinator")
            }
            var statement = WireReceiptStatement()
            statement.envelope = data(receipt.envelope.bytes)
            statement.acceptedAfterHeight = receipt.acceptedAfter.value
            statement.includedByHeight = receipt.includedBy.value
            statement.acceptedAfterBlock = data(receipt.block.bytes)
            var again = receipt.wire
            again.statement = data(statement.encoded())
            return again.encoded()
        }
    }

    static func proof(_ world: FuzzWorld) throws -> Self {
        let chain = world.chain
        var seeds: [[UInt8]] = []
        for height in 1...chain.blocks.count - 2 {
            let count = Int(chain.blocks[height - 1].header.transactionCount)
            seeds.append(try chain.proof(of: height).bytes)
            if count > 0 {
                seeds.append(try chain.proof(of: height, transaction: 0).bytes)
                seeds.append(
                    try chain.proof(of: height, transaction: count - 1, hasLog: false).bytes)
            }
        }
        return Self("proof", .protobuf, seeds: seeds, mend: world.mendProof) { bytes in
            let proof = try SettlementProof(strictly: bytes)
            _ = try proof.check(genesis: chain.genesis)
            return try WireSettlementProof(strictly: proof.bytes).encoded()
        }
    }

    static func evidence(_ world: FuzzWorld) throws -> Self {
        let keys = world.keys
        var seeds = world.evidence.map(\.bytes)
        var invalid = WireEvidence()
        invalid.network = data(world.network.digest.bytes)
        invalid.offender = Consortium.coordinator.text
        let key = try signingKey(of: Consortium.coordinator).verifyingKey
        invalid.key = data(key.bytes)
        for place in [0, 1, 2] {
            invalid.invalidBlock.block = data(
                try world.chain.altered(place) { $0.effectsRoot = .zero })
            seeds.append(invalid.encoded())
        }
        return Self("evidence", .protobuf, seeds: seeds, mend: world.mendEvidence) { bytes in
            let evidence = try Evidence(strictly: bytes, network: world.network)
            do throws(EvidenceFault) {
                let offence = try evidence.offence(keys: keys)
                _ = "\(offence)\(offence.id(network: world.network))"
            } catch {
                guard error == .needsChain else { throw error }
                let suspect = try evidence.invalidBlock(keys: keys)
                _ = evidence.offence(by: suspect)
            }
            return try WireEvidence(strictly: evidence.bytes).encoded()
        }
    }

    static func decision(_ world: FuzzWorld) throws -> Self {
        var seeds = world.decisions.map(\.bytes)
        var wire = try WireDecision(strictly: seeds[0])
        wire.leaving = [Consortium.coordinator.text, Consortium.west.text]
        wire.agreement = world.genesis.agreement
        wire.reason = "the coordinator moves"
        seeds.append(wire.encoded())
        return Self("decision", .protobuf, seeds: seeds) { bytes in
            let decision = try Decision(strictly: bytes, network: world.network)
            var again = WireDecision()
            again.term = decision.term.value
            again.coordinator = decision.coordinator.text
            again.coordinatorKey = data(decision.coordinatorKey.bytes)
            again.voters = decision.voters.wire
            again.members = decision.members.map { data($0.bytes) }
            again.leaving = decision.leaving.map(\.text)
            if let agreement = decision.agreement { again.agreement = agreement }
            again.reason = decision.reason
            return again.encoded()
        }
    }

    static func opening(_ world: FuzzWorld) -> Self {
        let sets = world.chain.history.terms.map(\.voters)
        let parents = world.chain.blocks.map(\.slot)
        return Self(
            "opening", .protobuf, seeds: world.openings.map(\.bytes), mend: world.mendOpening
        ) { bytes in
            let opening = try Opening(strictly: bytes, network: world.network)
            for parent in [parents[2], parents[6]] {
                try? opening.verify(above: parent, inForce: [sets[0]], network: world.network)
                try? opening.verify(
                    above: parent, inForce: Array(sets.prefix(2)), network: world.network)
            }
            return Opening(
                decision: opening.decision, statuses: opening.statuses, network: world.network
            ).bytes
        }
    }

    /// Vote, status, ballot and head: whichever of them takes the bytes.
    static func statement(_ world: FuzzWorld) throws -> Self {
        let sets = world.chain.history.terms.map(\.voters)
        let east = Consortium.east
        guard let signing = world.signing[east], let voting = world.voting[east] else {
            throw NotTaken("the east has no keys")
        }
        let ballot = try Ballot(
            decision: world.decisions[0].hash, voter: east, network: world.network, key: signing)
        let status = try Status(
            decision: world.decisions[0], lastVote: world.chain.blocks[1].slot,
            highest: world.chain.certificates[1], voter: east, network: world.network,
            key: voting)
        let seeds = try [
            world.vote(world.chain.blocks[1]).encoded(), status.bytes, ballot.bytes,
            world.head().bytes,
        ]
        return Self("statement", .protobuf, seeds: seeds) { bytes in
            if let vote = try? Vote(strictly: bytes) {
                try? vote.verify(by: sets, network: world.network)
                return vote.encoded()
            }
            if let status = try? Status(strictly: bytes) {
                _ = status.isGood(for: sets, network: world.network)
                var wire = WireStatus()
                wire.statement = data(status.statement)
                wire.voter = status.voter.text
                wire.signature = data(status.signature.bytes)
                return wire.encoded()
            }
            if let ballot = try? Ballot(strictly: bytes) {
                _ = isAgreed([ballot], by: sets, network: world.network)
                var wire = WireBallot()
                wire.decision = data(ballot.decision.bytes)
                wire.voter = ballot.voter.text
                wire.signature = data(ballot.signature.bytes)
                return wire.encoded()
            }
            let head = try Head(strictly: bytes)
            _ = head.isSigned(by: signing.verifyingKey, network: world.network)
            return try WireSignedHead(strictly: head.bytes).encoded()
        }
    }
}

extension FuzzWorld {
    fileprivate func mendReceipt(_ bytes: [UInt8], _ random: inout FuzzRandom) -> [UInt8]? {
        guard var wire = try? WireReceipt(strictly: bytes),
            let signature = sign(
                [UInt8](wire.statement), .receipt, by: Consortium.coordinator.text, votes: false)
        else { return nil }
        wire.signature = data(signature)
        return wire.encoded()
    }
}
