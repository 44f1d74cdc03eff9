import Contracts
import Cryptography
import Ledger
import Replay
import Storage

/// Checks a ledger whose history is not complete, as far as its snapshot and hashes bind it.
///
/// The snapshot's proof is checked from genesis, every block since and every block of the history
/// by the hash that binds it, effects and postings by the blocks, the state by the roots that the
/// newest checkpoint left. What only execution from genesis can show is checked once the history is
/// complete.
///
/// - Parameters:
///   - snapshot: that the ledger began with.
///   - file: of the ledger.
///   - genesis: all that is trusted.
/// - Returns: what was found, and height and log size of the newest settled block.
func auditPartial(
    _ snapshot: StoredSnapshot, in file: SalvagedLedger, genesis: Genesis
) -> (findings: Findings, height: UInt64, transactions: UInt64) {
    var findings = Findings()
    do {
        let checkpoint = try ProvenCheckpoint(
            snapshot.proof, logPeaks: snapshot.logPeaks, genesis: genesis)
        guard checkpoint.height == snapshot.height, checkpoint.hash == snapshot.hash else {
            throw DamagedLedger(place: "table snapshot: it is not the block that its proof proves")
        }
        try LedgerScrub(genesis: genesis, file: file).checkAll { true }
        try checkHistory(below: snapshot, in: file)
    } catch let fault as DamagedLedger {
        findings.add("ledger.sqlite", fault.place)
    } catch { findings.add("table snapshot", "\(error)") }
    let tip = file.tipColumns
    func number(_ column: Int) -> UInt64 {
        tip?[column].integer.flatMap { UInt64(exactly: $0) } ?? 0
    }
    return (findings, number(1), number(4))
}

private func checkHistory(
    below snapshot: StoredSnapshot, in file: SalvagedLedger
) throws(DamagedLedger) {
    guard let lowest = file.lowestHistory else { return }
    var (height, hash) = (snapshot.height, snapshot.hash)
    while height >= lowest {
        guard let block = file.block(at: height), block.height == height, block.hash == hash else {
            throw DamagedLedger(place: "table history, block \(height)")
        }
        (height, hash) = (Height(height.value - 1), block.header.previous)
    }
}
