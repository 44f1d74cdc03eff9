import Contracts
import Cryptography
package import Ledger
package import Storage
import Wire

/// Why a proof cannot be made now.
package enum ProverError: Error, Hashable, CustomStringConvertible {
    case unknown(TransactionID)
    case noSuchTransaction(TransactionID, count: Int)
    case notSettled(Height)
    case noSignerKey(AccountID)

    package var description: String {
        switch self {
        case .unknown(let id):
            "no settled block of this ledger contains envelope \(id.envelope); its stage may be "
                + "accepted, ordered or certified still"
        case .noSuchTransaction(let id, let count):
            "envelope \(id.envelope) has \(count) transactions, counted from 0"
        case .notSettled(let height):
            "this ledger holds no certificate that settles height \(height) yet; ask again after "
                + "the next block"
        case .noSignerKey(let account):
            "no key of \(account) made the envelope's signature; run `tally verify`"
        }
    }
}

/// What a site shows of a balance that a member asks for.
package struct BalanceProof: Hashable, Sendable {
    /// Of the block at the balance's height; nil while none can be made.
    package var settled: SettlementProof?
    /// Of the account's newest posting at or below that height; nil when it has none.
    package var posting: SettlementProof?

    package init(settled: SettlementProof? = nil, posting: SettlementProof? = nil) {
        self.settled = settled
        self.posting = posting
    }
}

/// Makes proofs of settlement from one ledger file, also while its worker runs.
package struct Prover: Sendable {
    private let store: LedgerStore

    private var network: NetworkID { store.genesis.network }

    package init(_ store: LedgerStore) { self.store = store }

    /// Proves that a transaction is settled, and what it did.
    ///
    /// - Parameters:
    ///   - id: of the transaction.
    ///   - hasLog: whether its place in the log of all is shown; the whole log is then hashed.
    /// - Returns: the proof.
    /// - Throws: ``ProverError``, or what makes the ledger unreadable.
    package func proof(of id: TransactionID, hasLog: Bool = true) throws -> SettlementProof {
        guard let height = try store.height(of: id.envelope),
            let block = try store.block(at: height),
            let envelope = block.envelopes.first(where: { $0.id == id.envelope })
        else { throw ProverError.unknown(id) }
        guard envelope.transactions.indices.contains(Int(id.index)) else {
            throw ProverError.noSuchTransaction(id, count: envelope.transactions.count)
        }
        var log: (index: UInt64, path: [Digest])?
        if hasLog {
            let index = place(of: id, in: block)
            log = (
                index,
                try store.logPath(
                    of: index, size: block.header.logSize, root: block.header.logRoot)
            )
        }
        let transaction = settledTransaction(
            id, in: block, effects: try store.effects(of: block),
            signerKey: try signerKey(of: envelope), log: log)
        guard let transaction else { throw ProverError.unknown(id) }
        return try proof(of: height, transaction)
    }

    /// Proves that the block at a height is settled.
    package func proof(ofBlockAt height: Height) throws -> SettlementProof {
        try proof(of: height, nil)
    }

    /// Proves that the newest settled block is settled.
    package func proofOfNewest() throws -> SettlementProof {
        try proof(of: store.tip().height, nil)
    }

    /// Proves what can be proven of a balance: that its height is settled, and the account's newest
    /// posting.
    ///
    /// - Parameters:
    ///   - account: whose balance it is.
    ///   - height: of the block after which it is what the account has.
    /// - Returns: no proof while nothing is settled, or the ledger is partial; nil when a posting
    ///   above that height has settled meanwhile.
    /// - Throws: ``ProverError``, or what makes the ledger unreadable.
    package func proof(
        ofBalance account: AccountID, at height: Height
    ) throws -> BalanceProof? {
        // The headers of earlier terms are not here yet.
        guard height > .genesis, try store.snapshot() == nil else { return BalanceProof() }
        let settled = try proof(ofBlockAt: height)
        guard let index = try store.newestCause(of: account),
            let id = try store.transaction(at: index)
        else { return BalanceProof(settled: settled) }
        guard let posted = try store.height(of: id.envelope), posted <= height else { return nil }
        return BalanceProof(settled: settled, posting: try proof(of: id, hasLog: false))
    }

    private func place(of id: TransactionID, in block: Block) -> UInt64 {
        let earlier = block.envelopes.prefix { $0.id != id.envelope }
        let offset = earlier.reduce(UInt64(id.index)) { $0 + UInt64($1.transactions.count) }
        return block.header.logSize &- UInt64(block.header.transactionCount) &+ offset
    }

    /// The key of the signer that made an envelope's signature; it may have a newer one by now.
    private func signerKey(of envelope: Envelope) throws -> VerifyingKey {
        let state = SQLiteState(store)
        var changes = ChangeSet(above: state)
        let present = changes.member(envelope.signer).flatMap {
            VerifyingKey($0.document.signingKey)
        }
        if let present, envelope.isSigned(by: present, network: network) { return present }
        let owner = Array(envelope.signer.text.utf8)
        for entry in try state.entries(in: .keys, prefix: [], limit: .max)
        where entry.value == owner {
            guard let key = VerifyingKey(entry.key.key),
                envelope.isSigned(by: key, network: network)
            else { continue }
            return key
        }
        throw ProverError.noSignerKey(envelope.signer)
    }

    // MARK: from the block to the certificate

    private func proof(
        of height: Height, _ transaction: WireSettledTransaction?
    ) throws -> SettlementProof {
        let above = try Above(store)
        var headers = [try above.header(at: height)].compactMap(\.self)
        while let last = headers.last {
            guard let next = try above.header(at: last.slot.height.next) else {
                throw ProverError.notSettled(height)
            }
            headers.append(next)
            guard next.slot.term != last.slot.term else { break }
        }
        guard let last = headers.last,
            let certificate = try above.certificate(of: last)
        else { throw ProverError.notSettled(height) }
        return try SettlementProof(
            headers: headers, certificate: certificate,
            terms: try handOvers(upTo: last, certificate, above), transaction: transaction,
            network: network)
    }

    /// The beginnings of all terms up to that of a header.
    private func handOvers(
        upTo last: SignedHeader, _ certificate: Certificate, _ above: Above
    ) throws -> [HandOver] {
        let terms = try store.terms().terms.filter {
            $0.opening != nil && $0.firstHeight <= last.slot.height
        }
        return try terms.map { rules in
            guard let opening = rules.opening, let first = try above.header(at: rules.firstHeight)
            else { throw ProverError.notSettled(rules.firstHeight) }
            let parent =
                rules.firstHeight.value > 1
                ? try above.header(at: Height(rules.firstHeight.value - 1)) : nil
            var second: SignedHeader?
            if rules.firstHeight < last.slot.height {
                second = try above.header(at: rules.firstHeight.next)
            }
            if second?.isFirst == true { second = nil }
            return HandOver(
                opening: opening, parent: parent, first: first, second: second,
                certificate: second == nil
                    ? nil
                    : second?.hash == last.hash
                        ? certificate : try second.flatMap { try above.certificate(of: $0) })
        }
    }
}

/// A ledger's settled blocks and those above them, by height.
private struct Above {
    private let store: LedgerStore
    private let pending: [Height: Block]
    private let highest: Certificate?

    init(_ store: LedgerStore) throws {
        self.store = store
        pending = Dictionary(
            try store.branch().map { ($0.height, $0) }, uniquingKeysWith: { first, _ in first })
        highest = try store.journal().highest
    }

    func header(at height: Height) throws -> SignedHeader? {
        try store.signedHeader(at: height) ?? pending[height].map { SignedHeader($0) }
    }

    /// Carried by the child, or the highest that this node knows.
    func certificate(of header: SignedHeader) throws -> Certificate? {
        let child = header.slot.height.next
        let carried = try pending[child] ?? store.block(at: child)
        if let certificate = carried?.parentCertificate, certificate.block == header.hash {
            return certificate
        }
        return highest?.block == header.hash ? highest : nil
    }
}
