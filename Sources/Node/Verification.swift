import Contracts
import Cryptography
import Foundation
import Ledger
package import Replay
import Storage

/// How far a verification or a replay is.
package struct AuditProgress: Hashable, Sendable {
    package enum Stage: String, Sendable { case chain, state, blobs, rounds }

    package let stage: Stage
    package let done: UInt64
    package let total: UInt64
}

/// What `tally verify` found.
package struct VerificationReport: Codable, Hashable, Sendable {
    package let sound: Bool
    /// The history is not complete: what is here was not executed from genesis yet.
    package let partial: Bool
    /// Of the newest settled block that was checked.
    package let height: UInt64
    /// Settled transactions that were checked.
    package let transactions: UInt64
    package let envelopes: Int
    package let postings: Int64
    package let stateEntries: Int
    /// Blobs whose bytes hash to their names.
    package let blobs: Int
    /// Blobs that the chain names and this node does not keep, and need not.
    package let blobsElsewhere: Int
    /// The first hundred.
    package let findings: [Finding]
    package let findingCount: Int
}

/// Checks a node's ledger file and blobs and believes nothing of them.
///
/// It waits for the disk and uses every core: call it off the cooperative pool. The node's worker
/// may be running; one moment of the file is looked at. Nothing is written.
///
/// - Parameters:
///   - home: with `genesis.tally`, the ledger and the blobs.
///   - progress: told from time to time, on the calling thread.
/// - Returns: what was found; a file that cannot even be opened is a finding, too.
/// - Throws: ``StorageError/missing(path:)`` for a home without a ledger.
package func verify(
    home: Home, progress: (AuditProgress) -> Void = { _ in }
) throws -> VerificationReport {
    let path = home.ledger
    var counts = VerifiedCounts()
    guard home.exists(path) else { throw StorageError.missing(path: path) }
    if let report = verifyPartial(home, progress) { return report }
    var audited = Findings()
    let named = auditLedger(at: path, of: home, &audited, &counts, progress)
    if let named { verifyBlobs(home, named.blobs, named.account, &audited, &counts, progress) }
    return VerificationReport(
        sound: audited.isEmpty, partial: false, height: counts.height,
        transactions: counts.transactions,
        envelopes: counts.envelopes, postings: counts.postings, stateEntries: counts.stateEntries,
        blobs: counts.blobs, blobsElsewhere: counts.blobsElsewhere, findings: audited.list,
        findingCount: audited.count)
}

/// The report on a ledger that began with a snapshot; nil when its history is complete.
private func verifyPartial(
    _ home: Home, _ progress: (AuditProgress) -> Void
) -> VerificationReport? {
    guard let genesis = try? home.genesisDocument() else { return nil }
    let file = SalvagedLedger(path: home.ledger, network: genesis.network)
    defer { file.close() }
    guard let snapshot = file.snapshot else { return nil }
    var findings = Findings()
    var counts = VerifiedCounts()
    for fault in structureFaults(of: home.ledger) {
        findings.add("ledger.sqlite, \(fault.place)", fault.reason)
    }
    let audit = auditPartial(snapshot, in: file, genesis: genesis)
    findings.add(audit.findings)
    verifyBlobs(home, [], nil, &findings, &counts, progress)
    return VerificationReport(
        sound: findings.isEmpty, partial: true, height: audit.height,
        transactions: audit.transactions, envelopes: 0, postings: 0, stateEntries: 0,
        blobs: counts.blobs, blobsElsewhere: counts.blobsElsewhere, findings: findings.list,
        findingCount: findings.count)
}

/// Checks a ledger file alone, which may be another one than the home's own.
///
/// - Parameters:
///   - path: of the file.
///   - home: whose network and votes it must hold.
/// - Returns: what was found.
func ledgerFindings(at path: String, of home: Home) -> Findings {
    var findings = Findings()
    var counts = VerifiedCounts()
    _ = auditLedger(at: path, of: home, &findings, &counts) { _ in }
    return findings
}

private typealias Naming = (blobs: [NamedBlob], account: AccountID?)

/// Adds what is wrong with the file.
///
/// - Returns: the blobs that the chain names, and whose home it is; nil when it cannot be walked.
private func auditLedger(
    at path: String, of home: Home, _ audited: inout Findings, _ counts: inout VerifiedCounts,
    _ progress: (AuditProgress) -> Void
) -> Naming? {
    var findings = Findings()
    var named: Naming?
    if let fault = writeAheadLogFault(ofLedger: path) {
        findings.add("ledger.sqlite-wal", fault)
    }
    let structure = BackgroundWork { structureFaults(of: path) }
    do {
        try LedgerRows.snapshot(of: path) { rows in
            guard let genesis = trustedGenesis(home, rows, &findings) else { return }
            named = try verify(rows, genesis, home, &findings, &counts, progress)
        }
    } catch {
        findings.add("ledger.sqlite", "\(error)")
    }
    for fault in structure.join() { audited.add("ledger.sqlite, \(fault.place)", fault.reason) }
    audited.add(findings)
    return named
}

private struct VerifiedCounts {
    var height: UInt64 = 0
    var transactions: UInt64 = 0
    var envelopes = 0
    var postings: Int64 = 0
    var stateEntries = 0
    var blobs = 0
    var blobsElsewhere = 0
}

private func structureFaults(of path: String) -> [TableFault] {
    do {
        return try LedgerRows.snapshot(of: path) { $0.structureFaults() + $0.checkpointFaults() }
    } catch {
        return [TableFault(place: "file", reason: "\(error)")]
    }
}

/// The genesis of the home's configuration; without a readable one, that of the ledger itself.
private func trustedGenesis(
    _ home: Home, _ rows: LedgerRows, _ findings: inout Findings
) -> Genesis? {
    var configured: Genesis?
    do { configured = try home.genesisDocument() } catch {
        findings.add("genesis.tally", "\(error)")
    }
    var stored: [UInt8]?
    do {
        let table = try rows.rows(of: .genesis)
        while let row = try table.next() {
            if row[0] == .integer(1) {
                stored = row[1].bytes
            } else {
                findings.add("table genesis, row \(row[0].shown)", "it does not belong here")
            }
        }
    } catch { findings.add("table genesis", "\(error)") }
    if let configured {
        if stored != configured.bytes {
            findings.add(
                "table genesis, row 1", "column document: it is not the document genesis.tally")
        }
        return configured
    }
    do {
        return try stored.map { bytes throws(GenesisFault) in try Genesis(strictly: bytes) }
    } catch {
        findings.add("table genesis, row 1", "column document: \(error)")
        return nil
    }
}

private func verify(
    _ rows: LedgerRows, _ genesis: Genesis, _ home: Home, _ findings: inout Findings,
    _ counts: inout VerifiedCounts, _ progress: (AuditProgress) -> Void
) throws -> Naming {
    let voter = home.voter
    let total = rows.lastHeight
    var walk = LedgerAudit(genesis: genesis, rows: rows, home: voter)
    let ledger = try walk.walk {
        progress(AuditProgress(stage: .chain, done: $0, total: total))
    }
    findings.add(walk.findings)
    counts.height = ledger.audit.height
    counts.transactions = ledger.audit.transactions
    counts.envelopes = ledger.envelopes.count
    counts.postings = ledger.postings
    if ledger.audit.isExecuting {
        counts.stateEntries = ledger.audit.state.count
        var state = StateAudit(audit: ledger.audit, rows: rows)
        state.run { done, total in
            progress(
                AuditProgress(stage: .state, done: UInt64(done), total: UInt64(total)))
        }
        findings.add(state.findings)
        findings.add(brokenInvariants(of: ledger.audit.state))
        findings.add(strayRuns(in: ledger.audit.state, terms: ledger.audit.terms))
    } else {
        findings.add(
            "table state", "it was not compared, for the chain does not execute to its end")
    }
    let named = ledger.audit.isExecuting ? try namedBlobs(in: ledger.audit.state) : []
    // The audit goes on in place: a copy of the state would cost as much as the walk.
    var journal = JournalAudit(
        genesis: genesis, rows: rows, home: voter, ledger: consume ledger)
    journal.run()
    findings.add(journal.findings)
    return (named, journal.account)
}

extension Home {
    /// Whose votes its ledger holds; nil when its member document cannot be read.
    fileprivate var voter: HomeVoter? {
        guard let member = try? member() else { return nil }
        // A key that was given up owes no votes.
        let key = (try? firstVoteKeyInUse()) ?? nil
        return HomeVoter(account: member.account, keys: Set([key].compactMap(\.self)))
    }
}

private func verifyBlobs(
    _ home: Home, _ named: [NamedBlob], _ account: AccountID?, _ findings: inout Findings,
    _ counts: inout VerifiedCounts, _ progress: (AuditProgress) -> Void
) {
    let folder = checkBlobs(in: home.blobs) { done, total in
        progress(AuditProgress(stage: .blobs, done: UInt64(done), total: UInt64(total)))
    }
    let names = Dictionary(
        named.map { ($0.digest.hex, $0.name) }, uniquingKeysWith: { first, _ in first })
    for fault in folder.faults {
        let file = String(fault.path.split(separator: "/").last ?? "")
        let name = names[file].map { " (\($0))" } ?? ""
        findings.add("blobs/\(file)\(name)", fault.reason)
    }
    let damaged = Set(
        folder.faults.compactMap { $0.path.split(separator: "/").last.map(String.init) })
    var elsewhere: Set<Digest> = []
    // Two rounds may name the same bytes, such as a manifest; they are missing once.
    var absent: Set<Digest> = []
    for blob in named
    where !folder.sound.contains(blob.digest) && !damaged.contains(blob.digest.hex) {
        if let account, blob.holders.contains(account.text) {
            guard absent.insert(blob.digest).inserted else { continue }
            findings.add(
                "blobs/\(blob.digest) (\(blob.name))",
                "it is missing, though this node vouched for it; fetch it from another member")
        } else {
            elsewhere.insert(blob.digest)
        }
    }
    counts.blobs = folder.sound.count
    counts.blobsElsewhere = elsewhere.subtracting(absent).count
}
