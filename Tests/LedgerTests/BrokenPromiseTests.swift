import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

private let office = Consortium.coordinator
private let reader = AccountID(.annotator, "east-1")

extension WireTransaction {
    fileprivate static func rekey(_ member: [UInt8]) -> Self {
        var transaction = Self()
        transaction.memberRekey.member = data(member)
        return transaction
    }

    fileprivate static func revoke(_ account: AccountID) -> Self {
        var transaction = Self()
        transaction.memberRevoke.account = account.text
        return transaction
    }
}

/// A chain of blocks with envelopes of choice, and a promise that it keeps or breaks.
private struct Promises {
    let genesis: Genesis
    var blocks: [Block] = []
    /// The log after each block; the first is empty.
    var logs = [MerkleFrontier()]

    var network: NetworkID { genesis.network }

    init() throws {
        genesis = try Genesis(strictly: testGenesis())
    }

    func envelope(
        _ sequence: UInt64, notAfter: UInt64 = 100, by signer: AccountID = reader,
        _ transaction: WireTransaction = .closeItem("east/one")
    ) throws -> Envelope {
        try Envelope(
            strictly: signedEnvelope(
                [transaction], signer: signer, sequence: sequence, notAfter: Height(notAfter),
                network: network, key: signingKey(of: signer)), network: network)
    }

    func receipt(
        _ envelope: Envelope, after height: Int, promise: UInt64 = 3, block: Digest? = nil,
        by account: AccountID = office
    ) throws -> WireReceipt {
        try Receipt(
            envelope: envelope.id, acceptedAfter: Height(UInt64(height)),
            block: block ?? (height == 0 ? network.digest : blocks[height - 1].hash),
            promise: promise, network: network, key: signingKey(of: account)
        ).wire
    }

    mutating func append(
        _ envelopes: [Envelope] = [], term: UInt64 = 1, by account: AccountID = office,
        lying: Bool = false
    ) throws {
        var log = logs[blocks.count]
        for envelope in envelopes {
            for index in envelope.transactions.indices { log.append(envelope.logLeaf(index)) }
        }
        let height = Height(UInt64(blocks.count) + 1)
        let parent = blocks.last.map {
            Certificate(slot: $0.slot, block: $0.hash, entries: [])
        }
        let block = try Block(
            header: BlockHeader(
                slot: Slot(term: Term(term), height: height),
                previous: blocks.last?.hash ?? network.digest, timeMilliseconds: 1,
                proposer: account,
                transactionCount: UInt32(envelopes.reduce(0) { $0 + $1.transactions.count }),
                logSize: log.size, logRoot: lying ? .zero : log.root, effectsRoot: .zero,
                stateRoot: .zero, voters: .zero,
                parentCertificate: parent?.hash(network: network) ?? .zero,
                opening: parent == nil ? network.digest : nil),
            envelopes: envelopes, parentCertificate: parent, network: network,
            key: signingKey(of: account))
        blocks.append(block)
        logs.append(log)
    }

    func evidence(
        _ receipt: WireReceipt, _ envelope: Envelope, after height: Int, through last: Int? = nil
    ) throws -> Evidence? {
        .brokenPromise(
            receipt, envelopeHeader: envelope.headerBytes,
            before: height == 0 ? nil : blocks[height - 1].headerBytes, log: logs[height],
            blocks: Array(blocks[height..<(last ?? height + 3)]),
            by: try signingKey(of: office).verifyingKey, network: network)
    }
}

struct BrokenPromiseTests {
    /// Blocks of transactions, one of them by the same signer with a lower sequence.
    private func promises() throws -> (Promises, Envelope) {
        var promises = try Promises()
        let kept = try promises.envelope(7)
        for sequence in 1...6 {
            try promises.append([promises.envelope(UInt64(sequence))])
        }
        return (promises, kept)
    }

    @Test("an envelope left out of every promised block convicts the coordinator")
    func leftOut() throws {
        let (promises, envelope) = try promises()
        let keys = KnownKeys(genesis: promises.genesis)
        for height in 0...3 {
            let receipt = try promises.receipt(envelope, after: height)
            let evidence = try #require(
                try promises.evidence(receipt, envelope, after: height))
            let offence = try evidence.offence(keys: keys)
            #expect(offence.kind == .brokenPromise && offence.offender == office)
            #expect(offence.envelope == envelope.id)
            #expect(offence.height == Height(UInt64(height) + 3))
        }
    }

    @Test("a promise that was kept, or could not be, convicts nobody")
    func excuses() throws {
        let (whole, _) = try promises()
        func excused(
            _ name: String, _ envelope: Envelope, _ change: (inout Promises) throws -> Void
        ) throws {
            var promises = try Promises()
            try promises.append()
            let receipt = try promises.receipt(envelope, after: 1)
            try change(&promises)
            while promises.blocks.count < 4 { try promises.append() }
            #expect(try promises.evidence(receipt, envelope, after: 1) == nil, "\(name)")
        }
        let envelope = try whole.envelope(7)
        try excused("included in the last block", envelope) {
            try $0.append()
            try $0.append()
            try $0.append([envelope])
        }
        try excused("the sequence went to another envelope", envelope) {
            try $0.append([$0.envelope(7, by: reader, .closeItem("east/two"))])
        }
        try excused("a higher sequence was used", envelope) { try $0.append([$0.envelope(9)]) }
        try excused("it had expired", whole.envelope(7, notAfter: 3)) { _ in }
        try excused("the signer asked for other keys", envelope) {
            try $0.append([$0.envelope(6, .rekey(memberDocument(reader)))])
        }
        try excused("the signer's site revoked it", envelope) {
            try $0.append([$0.envelope(1, by: Consortium.east, .revoke(reader))])
        }
        try excused("the term ended", envelope) {
            try $0.append()
            try $0.append(term: 2)
        }
        try excused("the term had ended already", envelope) {
            for _ in 0..<3 { try $0.append(term: 2) }
        }
        try excused("another coordinator's block", envelope) {
            try $0.append(by: Consortium.east)
        }
        try excused("a block that is not whole", envelope) { try $0.append(lying: true) }
    }

    @Test("a revocation that could not be applied excuses nobody")
    func idleRevocation() throws {
        var promises = try Promises()
        let site = try promises.envelope(7, by: Consortium.east)
        try promises.append([promises.envelope(1, by: office, .revoke(Consortium.east))])
        for _ in 0..<2 { try promises.append() }
        let receipt = try promises.receipt(site, after: 0)
        #expect(try promises.evidence(receipt, site, after: 0) != nil)
    }

    @Test("the blocks must be all, and stand above the block that the receipt names")
    func place() throws {
        let (promises, envelope) = try promises()
        let receipt = try promises.receipt(envelope, after: 2)
        #expect(try promises.evidence(receipt, envelope, after: 2) != nil)
        #expect(try promises.evidence(receipt, envelope, after: 2, through: 4) == nil)
        #expect(try promises.evidence(receipt, envelope, after: 2, through: 6) == nil)
        #expect(try promises.evidence(receipt, envelope, after: 1, through: 4) == nil)
        #expect(try promises.evidence(receipt, promises.envelope(8), after: 2) == nil)
        let elsewhere = try promises.receipt(envelope, after: 2, block: .zero)
        #expect(try promises.evidence(elsewhere, envelope, after: 2) == nil)
        let nothing = try promises.receipt(envelope, after: 2, promise: 0)
        #expect(try promises.evidence(nothing, envelope, after: 2, through: 2) == nil)
        let foreign = try promises.receipt(envelope, after: 2, by: Consortium.east)
        #expect(try promises.evidence(foreign, envelope, after: 2) == nil)
        var wire = try WireEvidence(
            strictly: #require(try promises.evidence(receipt, envelope, after: 2)).bytes)
        wire.brokenPromise.logPeaks[0] = data(Digest.zero.bytes)
        #expect(throws: EvidenceFault.provesNothing("the peaks are not those of the log before")) {
            try Evidence(strictly: wire.encoded(), network: promises.network)
                .offence { _, _ in true }
        }
    }

    @Test("a log of impossible size is refused, not counted")
    func hugeLog() throws {
        var promises = try Promises()
        try promises.append()
        let envelope = try promises.envelope(1)
        let first = try #require(promises.blocks.first)
        for size in [UInt64.max, 1 << 63, UInt64(1) << 62 + 1] {
            var header = first.header
            header.logSize = size
            let bytes = header.encoded(network: promises.network)
            let hash = payloadHash(.block, network: promises.network, bytes)
            var wire = WireEvidence()
            wire.network = data(promises.network.digest.bytes)
            wire.offender = office.text
            wire.key = data(try signingKey(of: office).verifyingKey.bytes)
            wire.brokenPromise.receipt = data(
                try promises.receipt(envelope, after: 1, promise: 1, block: hash).encoded())
            wire.brokenPromise.envelopeHeader = data(envelope.headerBytes)
            wire.brokenPromise.before = data(bytes)
            wire.brokenPromise.logPeaks = Array(
                repeating: data(Digest.zero.bytes), count: size.nonzeroBitCount)
            wire.brokenPromise.blocks = [data(first.bytes)]
            #expect(throws: EvidenceFault.self) {
                try Evidence(strictly: wire.encoded(), network: promises.network)
                    .offence { _, _ in true }
            }
        }
    }
}
