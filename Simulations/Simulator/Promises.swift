import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// What coordinators promised, and who holds the receipt.
struct Promises {
    private struct Promise {
        let envelope: Envelope
        let by: AccountID
        let term: Term
        let acceptedAfter: UInt64
        let includedBy: UInt64
    }

    private struct Acknowledgement {
        let envelope: Envelope
        /// The coordinator that signed the receipt, and the height above which it did.
        let by: AccountID?
        let after: Height
        let keeper: AccountID?
    }

    /// A receipt with all that is known of it.
    struct Signed {
        let envelope: Envelope
        let receipt: Receipt
        let by: AccountID
        let key: VerifyingKey
    }

    private var promises: [Digest: Promise] = [:]
    private var acknowledged: [Digest: Acknowledgement] = [:]
    private(set) var issued: Set<Digest> = []
    /// By the height that they promise.
    private var due: [Height: [Signed]] = [:]

    var count: Int { acknowledged.count }

    mutating func accepted(
        _ envelope: Envelope, _ receipt: Receipt, by account: AccountID, term: Term
    ) {
        guard promises[envelope.id] == nil else { return }
        promises[envelope.id] = Promise(
            envelope: envelope, by: account, term: term, acceptedAfter: receipt.acceptedAfter.value,
            includedBy: receipt.includedBy.value)
    }

    mutating func issue(_ envelope: Envelope) { issued.insert(envelope.id) }

    mutating func acknowledge(_ envelope: Envelope, _ signed: Signed?, keeper: AccountID?) {
        guard acknowledged[envelope.id] == nil else { return }
        acknowledged[envelope.id] = Acknowledgement(
            envelope: envelope, by: signed?.by, after: signed?.receipt.acceptedAfter ?? .genesis,
            keeper: keeper)
        if let signed { due[signed.receipt.includedBy, default: []].append(signed) }
    }

    /// Receipts that promise a height, each asked for once.
    mutating func takeDue(at height: UInt64) -> [Signed] {
        due.removeValue(forKey: Height(height)) ?? []
    }

    /// An honest coordinator includes by the promised height what it accepted in its term.
    func check(at height: UInt64, in chain: ChainModel, world: World) throws {
        for (id, promise) in promises.sorted(by: { $0.key < $1.key })
        where promise.includedBy == height && world.node(promise.by)?.isHonest == true {
            let isOneTerm = (promise.acceptedAfter + 1...height).allSatisfy {
                chain.header(at: $0)?.slot.term == promise.term
            }
            guard isOneTerm, chain.envelopes[id] == nil else { continue }
            throw Violation(
                "promise",
                "\(promise.by) promised \(id.short) of \(promise.envelope.signer) by height "
                    + "\(height) and did not include it")
        }
    }

    /// Envelopes with a receipt that neither settled nor may be lost.
    func open(in chain: ChainModel, world: World, office: AccountID) -> [String] {
        acknowledged.sorted { $0.key < $1.key }.filter { id, _ in
            chain.envelopes[id] == nil
        }.compactMap { id, promise in
            isExcused(promise, chain, world, office)
                ? nil
                : "\(id.short), sequence \(promise.envelope.header.sequence) of "
                    + "\(promise.envelope.signer), accepted by \(promise.by?.text ?? "nobody")"
        }
    }

    /// What a receipt does not promise: to outlive its coordinator where nobody else kept the
    /// envelope, where its sequence was used since, or where its signer has another key.
    private func isExcused(
        _ promise: Acknowledgement, _ chain: ChainModel, _ world: World, _ office: AccountID
    ) -> Bool {
        let envelope = promise.envelope
        let key = StateKey(.members, Array(envelope.signer.text.utf8))
        let member = chain.state(at: chain.height)?.value(at: key)
            .flatMap { try? WireMemberState(strictly: $0) }
        guard let member, member.endedHeight == 0,
            let signing = VerifyingKey(member.document.signingKey),
            envelope.isSigned(by: signing, network: world.genesis.network)
        else { return true }
        let coordinator = promise.by.flatMap { world.node($0) }
        let isSame =
            promise.by == office && coordinator?.isHonest == true && coordinator?.lostDisk == false
            && !hasOther(than: office, above: promise.after, in: chain)
        guard !isSame else { return false }
        if chain.sequences[envelope.signer, default: 0] >= envelope.header.sequence { return true }
        if chain.height > envelope.header.notAfterHeight { return true }
        let keeper = promise.keeper.flatMap { world.node($0) }
        return keeper?.isHonest != true || keeper?.lostDisk == true
    }

    /// Whether another coordinator was in office meanwhile, who may have taken another envelope of
    /// the same sequence.
    private func hasOther(
        than office: AccountID, above height: Height, in chain: ChainModel
    ) -> Bool {
        var next = height.next
        while next.value <= chain.height {
            if chain.header(at: next.value)?.proposer != office { return true }
            next = next.next
        }
        return false
    }
}

extension Auditor {
    func issued(_ envelope: Envelope) { promises.issue(envelope) }

    func accepted(_ envelope: Envelope, _ receipt: Receipt, by node: Node, term: Term) {
        promises.accepted(envelope, receipt, by: node.account, term: term)
    }

    /// Somebody holds a receipt, and the site that passed the envelope on keeps it.
    func acknowledged(_ envelope: Envelope, _ wire: WireReceipt, keeper: Node?) {
        let network = world.genesis.network
        let offices = world.nodes.lazy.map(\.account).filter { $0.role == .coordinator }
        let signed = offices.flatMap { account in
            self.world.signingKeys(of: account).compactMap { key -> Promises.Signed? in
                let receipt = Receipt(wire, coordinator: key, network: network)
                guard let receipt, receipt.envelope == envelope.id else { return nil }
                return Promises.Signed(
                    envelope: envelope, receipt: receipt, by: account, key: key)
            }
        }.first
        promises.acknowledge(envelope, signed, keeper: keeper?.account)
    }

    /// Evidence of a broken promise convicts exactly where the settled chain shows one.
    ///
    /// Of promises that were kept an eighth is tried: to show that takes whole blocks.
    func weighPromises(at height: UInt64) throws {
        for due in promises.takeDue(at: height) {
            let after = due.receipt.acceptedAfter.value
            guard chain.hash(at: after) == due.receipt.block, after < height,
                let log = chain.log(at: after)
            else { continue }
            let blocks = (after + 1...height).compactMap { chain.block(at: $0) }
            let isKept = blocks.contains { $0.envelopes.contains { $0.id == due.envelope.id } }
            guard !isKept || due.envelope.id.bytes[0] < 32 else { continue }
            let before = chain.block(at: after)
            let isUsed = blocks.flatMap(\.envelopes).contains {
                $0.signer == due.envelope.signer
                    && $0.header.sequence >= due.envelope.header.sequence
            }
            let isOneReign = blocks.allSatisfy {
                $0.header.proposer == due.by && $0.slot.term == before?.slot.term ?? .first
            }
            try detector.weigh(
                Evidence.brokenPromise(
                    due.receipt.wire, envelopeHeader: due.envelope.headerBytes,
                    before: before?.headerBytes, log: log, blocks: blocks, by: due.key,
                    network: world.genesis.network),
                isOffence: isOneReign && !isUsed && due.envelope.header.notAfterHeight >= height,
                due.by, "a promise broken at height \(height)")
        }
        try acquit(detector)
    }

    /// Whether everything acknowledged is settled at a node, as far as it can be asked for.
    func allPromisesKept(at core: Core) throws -> Bool {
        guard chain.height == core.replica.settled.height.value else { return false }
        return promises.open(
            in: chain, world: world, office: core.terms.newest.coordinator
        ).isEmpty
    }
}
