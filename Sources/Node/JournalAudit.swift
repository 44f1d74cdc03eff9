import Contracts
import Cryptography
import Ledger
import Replay
import Storage
import Wire

/// Checks what a ledger file holds above and beside the settled blocks.
///
/// The two blocks that show the newest one to be settled, proposals, accepted envelopes, and what a
/// restarted voter relies upon: votes, the journal and the tip.
struct JournalAudit {
    let genesis: Genesis
    let rows: LedgerRows
    /// The home's own account, when it can be told.
    let account: AccountID?
    var ledger: WalkedLedger
    private(set) var findings = Findings()
    /// Certificate of the newest block's parent.
    private var highest: [UInt8] = []
    private var pending: [Int64: [UInt8]] = [:]
    private var head: UInt64 = 0

    init(genesis: Genesis, rows: LedgerRows, account: AccountID?, ledger: WalkedLedger) {
        self.genesis = genesis
        self.rows = rows
        self.account = account
        self.ledger = ledger
    }

    /// Compares everything; the ledger's audit goes on to the newest block.
    mutating func run() {
        attempt(.tip) { try $0.checkTip() }
        attempt(.pending) { try $0.checkPending() }
        ledger.votes.finish(&findings)
        checkVoters()
        attempt(.journal) { try $0.checkJournal() }
        attempt(.proposals) { try $0.checkProposals() }
        attempt(.accepted) { try $0.checkAccepted() }
    }

    private mutating func attempt(
        _ table: LedgerTable, _ check: (inout Self) throws -> Void
    ) {
        do { try check(&self) } catch let fault as TableFault {
            findings.add(fault.place, fault.reason)
        } catch { findings.add("table \(table.rawValue)", "\(error)") }
    }

    private mutating func checkTip() throws {
        guard let tip = ledger.audit.tip else { return }
        var check = RowCheck(try rows.rows(of: .tip))
        check.expect(
            [
                .integer(1), StoredValue(tip.slot.term.value), StoredValue(tip.height.value),
                StoredValue(tip.hash.bytes), StoredValue(tip.timeMilliseconds),
                StoredValue(tip.log.size), StoredValue(tip.log.peaks.flatMap(\.bytes)),
            ], "", &findings)
        check.finish(&findings)
    }

    /// Executes the blocks above the settled ones.
    private mutating func checkPending() throws {
        let settled = ledger.audit.height
        head = settled
        var blocks: [(Int64, [UInt8])] = []
        let stored = try rows.rows(of: .pending)
        while let row = try stored.next() {
            blocks.append((row[0].integer ?? 0, row[1].bytes ?? []))
        }
        for (number, bytes) in blocks {
            let place = "table pending, height \(number)"
            guard UInt64(exactly: number) == head + 1, head < settled + 2 else {
                findings.add(place, "such a block must not wait above height \(settled)")
                continue
            }
            guard take(bytes, place, head + 1) else { break }
            head += 1
            pending[number] = bytes
        }
        if settled > 0, head < settled + 2 {
            findings.add(
                "table pending, height \(head + 1)",
                "the block is missing or broken that shows block \(settled) to be settled")
        }
    }

    /// Checks and executes a block that is kept whole.
    ///
    /// - Returns: whether the bytes are a block's.
    private mutating func take(_ bytes: [UInt8], _ place: String, _ height: UInt64) -> Bool {
        var block: StoredBlock
        do throws(WireFault) {
            block = try StoredBlock(place: place, height: height, whole: bytes)
        } catch {
            findings.add(place, "\(error)")
            return false
        }
        block.vote = ledger.votes.take(height: height, &findings)
        let keys = ledger.keys
        let known = ledger.audit.findings.count
        let audited = ledger.audit.advance(prepared(block, genesis: genesis) { keys[$0] })
        findings.add(ledger.audit.findings.since(known))
        highest = block.certificate
        if let voter = audited.voter { ledger.voters.insert(voter) }
        return true
    }

    private mutating func checkVoters() {
        let known = account ?? ledger.voters.min()
        for voter in ledger.voters.sorted() where voter != known {
            findings.add(
                "table votes", "it holds votes of \(voter), this is the home of \(known ?? voter)")
        }
    }

    private mutating func checkJournal() throws {
        var check = RowCheck(try rows.rows(of: .journal))
        check.expect(
            [.integer(1), StoredValue(Term.first.value), StoredValue(highest)], "", &findings)
        check.finish(&findings)
    }

    private var isCoordinator: Bool {
        (account ?? ledger.voters.min()) == genesis.coordinator.account
    }

    /// The coordinator keeps every block it proposed until the block is settled.
    private mutating func checkProposals() throws {
        var waiting = pending
        let stored = try rows.rows(of: .proposals)
        while let row = try stored.next() {
            let number = row[0].integer ?? 0
            let place = "table proposals, height \(number)"
            guard isCoordinator else {
                findings.add(place, "only the coordinator proposes")
                continue
            }
            if let voted = waiting.removeValue(forKey: number) {
                if voted != row[1].bytes { findings.add(place, "another block was voted for") }
            } else if UInt64(exactly: number) == head + 1 {
                checkUnfinished(row[1].bytes ?? [], place)
            } else {
                findings.add(place, "it is no proposal above the settled blocks")
            }
        }
        for number in waiting.keys.sorted() where isCoordinator {
            findings.add("table proposals, height \(number)", "the row is missing")
        }
    }

    /// A proposal that a crash left without a vote.
    private mutating func checkUnfinished(_ bytes: [UInt8], _ place: String) {
        do throws(WireFault) {
            let block = try StoredBlock(place: place, height: head + 1, whole: bytes)
            let keys = ledger.keys
            let known = ledger.audit.findings.count
            _ = ledger.audit.advance(
                prepared(block, genesis: genesis, expectsVote: false) { keys[$0] })
            findings.add(ledger.audit.findings.since(known))
        } catch { findings.add(place, "\(error)") }
    }

    private mutating func checkAccepted() throws {
        var last: Int64 = 0
        let stored = try rows.rows(of: .accepted)
        while let row = try stored.next() {
            let number = row[0].integer ?? 0
            let place = "table accepted, row \(number)"
            if number != last + 1 { findings.add(place, "column id: it should be \(last + 1)") }
            last = number
            guard let hash = Digest(row[1].bytes ?? []) else {
                findings.add(place, "column hash: it is no hash")
                continue
            }
            checkReceipt(row[2].bytes ?? [], of: hash, place)
            if case .null = row[3] {
                if !ledger.envelopes.contains(hash) {
                    findings.add(place, "column envelope: it is gone, though it is not settled")
                }
            } else {
                checkWaiting(row[3].bytes ?? [], hash, place)
            }
        }
    }

    private mutating func checkReceipt(_ bytes: [UInt8], of hash: Digest, _ place: String) {
        let promise = UInt64(genesis.agreement.chain.inclusionPromise)
        guard let wire = try? WireReceipt(strictly: bytes),
            let receipt = Receipt(
                wire, coordinator: genesis.coordinator.signingKey, network: genesis.network)
        else { return findings.add(place, "column receipt: it is malformed or not signed well") }
        if receipt.envelope != hash {
            findings.add(place, "column receipt: it is for envelope \(receipt.envelope)")
        }
        if receipt.includedBy != receipt.acceptedAfter.advanced(by: promise)
            || receipt.acceptedAfter.value > head
        {
            findings.add(place, "column receipt: it promises other heights than the agreement")
        }
    }

    private mutating func checkWaiting(_ bytes: [UInt8], _ hash: Digest, _ place: String) {
        let envelope: Envelope
        do throws(EnvelopeFault) {
            envelope = try Envelope(strictly: bytes, network: genesis.network)
        } catch { return findings.add(place, "column envelope: \(error)") }
        if envelope.id != hash {
            findings.add(place, "column hash: it is not the envelope's id, \(envelope.id)")
        }
        if ledger.envelopes.contains(hash) {
            findings.add(place, "column envelope: it is kept, though it is settled")
        }
        var changes = ChangeSet(above: ledger.audit.state)
        let key = changes.member(envelope.signer).flatMap {
            VerifyingKey($0.document.signingKey)
        }
        guard let key, envelope.isSigned(by: key, network: genesis.network) else {
            return findings.add(
                place, "column envelope: the signature of \(envelope.signer) is not good")
        }
    }
}
