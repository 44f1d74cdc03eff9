import Contracts
import Cryptography
import Federation
import Ledger
import TestSupport
import Testing
import Wire

@Suite("Evidence over whole histories")
struct ConvictionTests {
    static let batch: UInt64 = 50

    @Test(
        "who follows the rules is never convicted, and every planted offence is",
        arguments: 0..<UInt64(40))
    func histories(batch: UInt64) throws {
        for seed in batch * Self.batch..<(batch + 1) * Self.batch {
            // A few long histories, many short ones.
            let history = try HonestHistory(seed: seed, steps: seed % 10 == 0 ? 40 : 12)
            for (key, record) in history.signed {
                let accused = accusations(of: record, by: key, in: history)
                #expect(accused.isEmpty, "seed \(seed): \(accused)")
            }
            try plant(in: history, seed: seed)
        }
    }

    @Test("the histories hold terms, re-keys, dropped blocks and promises")
    func coverage() throws {
        var (openings, dropped, promises, doubled, settled) = (0, 0, 0, 0, 0)
        for seed in 0..<UInt64(60) {
            let history = try HonestHistory(seed: seed, steps: 40)
            openings += history.openings
            promises += history.signed.values.reduce(0) { $0 + $1.promises.count }
            let heights = history.signed.values.flatMap(\.headers).map(\.height)
            dropped += heights.count - Set(heights).count
            doubled += history.signed.keys.count - history.voters.count
            settled += history.voters.values.count { $0.replica.settled.height > .genesis }
        }
        #expect(openings >= 30)
        #expect(dropped >= 10)
        #expect(promises >= 100)
        #expect(doubled >= 60)
        #expect(settled >= 60)
    }

    /// All that could be held against a member, from every two of its statements.
    private func accusations(
        of record: HonestHistory.Record, by key: VerifyingKey, in history: HonestHistory
    ) -> [Evidence] {
        let network = history.network
        var accused: [Evidence?] = []
        for (first, second) in pairs(record.headers.map(SignedHeader.init)) {
            accused.append(.conflict(first, second, by: key, network: network))
        }
        for (first, second) in pairs(record.votes) {
            accused.append(
                .conflict(
                    first.vote, second.vote,
                    headers: (first.block.headerBytes, second.block.headerBytes), by: key,
                    network: network))
        }
        for (first, second) in pairs(record.statuses) {
            accused.append(.conflict(first, second, by: key, network: network))
        }
        for status in record.statuses {
            for (vote, block) in record.votes {
                guard let certificate = block.parentCertificate else { continue }
                accused.append(
                    .conflict(
                        status, vote, header: block.headerBytes, certificate: certificate,
                        by: key, network: network))
            }
        }
        for (first, second) in pairs(record.heads) {
            accused.append(.conflict(first, second, by: key, network: network))
        }
        for promise in record.promises where promise.isHonest {
            accused.append(broken(promise, record, by: key, in: history))
        }
        return accused.compactMap(\.self)
    }

    /// A promise held against the coordinator's own blocks above the one that it names.
    private func broken(
        _ promise: HonestHistory.Promise, _ record: HonestHistory.Record, by key: VerifyingKey,
        in history: HonestHistory
    ) -> Evidence? {
        var blocks: [Block] = []
        var tip = promise.before.hash
        for _ in 0..<history.genesis.agreement.chain.inclusionPromise {
            // Of several children the one of the lowest term.
            let child = record.headers.filter { $0.header.previous == tip }
                .min { $0.slot < $1.slot }
            guard let child else { return nil }
            blocks.append(child)
            tip = child.hash
        }
        return .brokenPromise(
            promise.receipt, envelopeHeader: promise.envelope.headerBytes,
            before: history.block(promise.before.hash)?.headerBytes, log: promise.before.log,
            blocks: blocks, by: key, network: history.network)
    }

    private func pairs<Content>(_ all: [Content]) -> [(Content, Content)] {
        all.indices.flatMap { first in
            all.indices.filter { $0 > first }.map { (all[first], all[$0]) }
        }
    }

    // MARK: offences

    private func plant(in history: HonestHistory, seed: UInt64) throws {
        var random = SplitMix64(seed: ~seed)
        var known = KnownKeys()
        for (key, owner) in history.owners { known.add(key, of: owner) }
        for account in history.owners.values.sorted() {
            for planted in try offences(of: account, in: history) {
                let evidence = try #require(planted.evidence, "seed \(seed): \(planted.kind)")
                let offence = try evidence.offence(keys: known)
                #expect(offence.offender == account && offence.kind == planted.kind)
                #expect(throws: EvidenceFault.unknownKey(account)) {
                    try evidence.offence(keys: KnownKeys())
                }
                let place = Int.random(in: evidence.bytes.indices, using: &random)
                var changed = evidence.bytes
                changed[place] ^= UInt8.random(in: 1...255, using: &random)
                let other = try? Evidence(strictly: changed, network: history.network)
                let convicted = try? other?.offence(keys: known)
                #expect(
                    convicted == nil || convicted == offence,
                    "seed \(seed): byte \(place) of \(planted.kind)")
            }
        }
        for (key, record) in history.signed {
            for promise in record.promises where !promise.isHonest {
                guard let evidence = broken(promise, record, by: key, in: history) else { continue }
                let offence = try evidence.offence(keys: known)
                #expect(offence.kind == .brokenPromise && offence.offender == history.owners[key])
            }
        }
    }

    private struct Planted {
        let kind: OffenceKind
        let evidence: Evidence?
    }

    /// What a member's record becomes an offence by, if it signs one statement more.
    private func offences(of account: AccountID, in history: HonestHistory) throws -> [Planted] {
        let network = history.network
        let (signing, voting) = (try signingKey(of: account), try voteKey(of: account))
        var planted: [Planted] = []
        let other = Digest.sha256(Array("another".utf8))
        if let block = history.signed[signing.verifyingKey]?.headers.last {
            var header = block.header
            header.timeMilliseconds += 1
            planted.append(
                Planted(
                    kind: .twoHeaders,
                    evidence: .conflict(
                        SignedHeader(block), try signed(header, by: signing, network),
                        by: signing.verifyingKey, network: network)))
        }
        if let block = history.signed[signing.verifyingKey]?.headers.last(where: \.isFirst) {
            var header = block.header
            header.slot = Slot(term: block.slot.term, height: block.height.next)
            planted.append(
                Planted(
                    kind: .twoHeaders,
                    evidence: .conflict(
                        SignedHeader(block), try signed(header, by: signing, network),
                        by: signing.verifyingKey, network: network)))
        }
        let record = history.signed[voting.verifyingKey]
        if let (vote, block) = record?.votes.last {
            let second = try Vote(
                voter: account, slot: vote.slot, block: other, network: network, key: voting)
            planted.append(
                Planted(
                    kind: .twoVotes,
                    evidence: .conflict(
                        vote, second, by: voting.verifyingKey, network: network)))
            if let certificate = block.parentCertificate {
                let status = try Status(
                    decision: decision(vote.slot.term.value + 1, network), lastVote: nil,
                    highest: nil, voter: account, network: network, key: voting)
                planted.append(
                    Planted(
                        kind: .hiddenCertificate,
                        evidence: .conflict(
                            status, vote, header: block.headerBytes, certificate: certificate,
                            by: voting.verifyingKey, network: network)))
            }
        }
        if let (vote, block) = record?.votes.last(where: { $0.block.isFirst }) {
            var header = block.header
            header.slot = Slot(term: block.slot.term, height: block.height.next)
            let rival = try signed(header, by: signing, network)
            let second = try Vote(
                voter: account, slot: header.slot, block: rival.hash, network: network,
                key: voting)
            planted.append(
                Planted(
                    kind: .twoVotes,
                    evidence: .conflict(
                        vote, second, headers: (block.headerBytes, rival.bytes),
                        by: voting.verifyingKey, network: network)))
        }
        if let status = record?.statuses.last {
            let second = try Status(
                decision: decision(status.term.value, network), lastVote: nil, highest: nil,
                voter: account, network: network, key: voting)
            planted.append(
                Planted(
                    kind: .twoStatuses,
                    evidence: .conflict(
                        status, second, by: voting.verifyingKey, network: network)))
        }
        if let head = history.signed[signing.verifyingKey]?.heads.last {
            let second = try Head(
                account: account, settled: head.settled, block: other, logSize: head.logSize,
                logRoot: head.logRoot, network: network, key: signing)
            planted.append(
                Planted(
                    kind: .inconsistentHeads,
                    evidence: .conflict(
                        head, second, by: signing.verifyingKey, network: network)))
        }
        return planted
    }

    private func signed(
        _ header: BlockHeader, by key: SigningKey, _ network: NetworkID
    ) throws -> SignedHeader {
        let bytes = header.encoded(network: network)
        return try SignedHeader(
            bytes: bytes,
            signature: key.sign(payload(.block, network: network, bytes)).bytes,
            network: network)
    }

    /// A decision of nobody, for a status that nobody should have signed.
    private func decision(_ term: UInt64, _ network: NetworkID) throws -> Decision {
        var wire = WireDecision()
        wire.term = max(term, 2)
        wire.coordinator = Consortium.coordinator.text
        wire.coordinatorKey = data(try signingKey(of: Consortium.coordinator).verifyingKey.bytes)
        wire.voters = try Genesis(strictly: testGenesis()).voters.wire
        wire.reason = "to hide something"
        return try Decision(strictly: wire.encoded(), network: network)
    }
}
