import Contracts
import Cryptography
import Ledger
import Replay
import Storage
import Wire

/// Checks the envelopes that a node accepted or handed in, and the receipts for them.
struct AcceptedAudit {
    let network: NetworkID
    let ledger: WalkedLedger
    /// Decisions whose coordinators may have given receipts before their terms were opened.
    let decisions: [Decision]
    private(set) var findings = Findings()
    /// Keys that may sign receipts.
    private let coordinators: Set<VerifyingKey>
    /// Every key that a member ever had on the chain, by account.
    private let keys: [String: [VerifyingKey]]
    /// What receipts may promise, in heights.
    private let promises: Set<UInt64>

    init(network: NetworkID, ledger: WalkedLedger, decisions: [Decision]) {
        self.network = network
        self.ledger = ledger
        self.decisions = decisions
        let terms = ledger.audit.terms.terms
        coordinators = Set(terms.map(\.coordinatorKey) + decisions.map(\.coordinatorKey))
        keys = Dictionary(
            grouping: ledger.audit.state.entries(in: .keys).compactMap { entry in
                VerifyingKey(entry.key.key).map { (entry.value, $0) }
            }, by: { String(decoding: $0.0, as: UTF8.self) }
        ).mapValues { $0.map(\.1) }
        promises = Set(
            (terms.map(\.agreement) + decisions.compactMap(\.agreement)).map {
                UInt64($0.chain.inclusionPromise)
            })
    }

    mutating func run(_ rows: LedgerRows) throws {
        var missing = ledger.accepted
        let stored = try rows.rows(of: .accepted)
        while let row = try stored.next() {
            let place = "table accepted, row \(row[0].shown)"
            guard let hash = Digest(row[1].bytes ?? []) else {
                findings.add(place, "column hash: it is no hash")
                continue
            }
            missing.remove(hash)
            let receipt = row[2].bytes
            // An envelope that was taken back from a dropped block may have none.
            if receipt != [] { checkReceipt(receipt ?? [], of: hash, place) }
            if case .null = row[3] {
                if !ledger.envelopes.contains(hash) {
                    findings.add(place, "column envelope: it is gone, though it is not settled")
                }
            } else {
                checkWaiting(row[3].bytes ?? [], hash, place)
            }
        }
        for hash in missing.sorted() {
            findings.add(
                "table accepted, envelope \(hash)",
                "the row is missing, though this coordinator ordered the envelope")
        }
    }

    private mutating func checkReceipt(_ bytes: [UInt8], of hash: Digest, _ place: String) {
        guard let wire = try? WireReceipt(strictly: bytes),
            let receipt = coordinators.compactMap({ key in
                Receipt(wire, coordinator: key, network: network)
            }).first
        else { return findings.add(place, "column receipt: it is malformed or not signed well") }
        if receipt.envelope != hash {
            findings.add(place, "column receipt: it is for envelope \(receipt.envelope)")
        }
        if !promises.contains(where: {
            receipt.acceptedAfter.advanced(by: $0) == receipt.includedBy
        }) {
            findings.add(place, "column receipt: it promises other heights than the agreement")
        }
    }

    private mutating func checkWaiting(_ bytes: [UInt8], _ hash: Digest, _ place: String) {
        let envelope: Envelope
        do throws(EnvelopeFault) {
            envelope = try Envelope(strictly: bytes, network: network)
        } catch { return findings.add(place, "column envelope: \(error)") }
        if envelope.id != hash {
            findings.add(place, "column hash: it is not the envelope's id, \(envelope.id)")
        }
        if ledger.envelopes.contains(hash) {
            findings.add(place, "column envelope: it is kept, though it is settled")
        }
        // It may have been signed with a key that the member has no more.
        let keys = keys[envelope.signer.text] ?? []
        // A member that a dropped block enrolled is unknown until its enrolment is ordered anew.
        if keys.isEmpty, ledger.audit.terms.terms.count > 1 { return }
        guard keys.contains(where: { envelope.isSigned(by: $0, network: network) }) else {
            return findings.add(
                place, "column envelope: the signature of \(envelope.signer) is not good")
        }
    }
}
