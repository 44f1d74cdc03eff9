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
        /// The coordinator that signed the receipt.
        let by: AccountID?
        let keeper: AccountID?
    }

    private var promises: [Digest: Promise] = [:]
    private var acknowledged: [Digest: Acknowledgement] = [:]
    private(set) var issued: Set<Digest> = []

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

    mutating func acknowledge(_ envelope: Envelope, by: AccountID?, keeper: AccountID?) {
        guard acknowledged[envelope.id] == nil else { return }
        acknowledged[envelope.id] = Acknowledgement(envelope: envelope, by: by, keeper: keeper)
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
        guard !isSame else { return false }
        if chain.sequences[envelope.signer, default: 0] >= envelope.header.sequence { return true }
        if chain.height > envelope.header.notAfterHeight { return true }
        let keeper = promise.keeper.flatMap { world.node($0) }
        return keeper?.isHonest != true || keeper?.lostDisk == true
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
        let by = world.nodes.first { node in
            node.account.role == .coordinator
                && world.signingKeys(of: node.account).contains {
                    Receipt(wire, coordinator: $0, network: network)?.envelope == envelope.id
                }
        }
        promises.acknowledge(envelope, by: by?.account, keeper: keeper?.account)
    }

    /// Whether everything acknowledged is settled at a node, as far as it can be asked for.
    func allPromisesKept(at core: Core) throws -> Bool {
        guard chain.height == core.replica.settled.height.value else { return false }
        return promises.open(
            in: chain, world: world, office: core.terms.newest.coordinator
        ).isEmpty
    }
}
