import Contracts
import Cryptography
import Ledger
import Node
import Wire

extension WireAnswerReveal {
    fileprivate mutating func show(_ answer: Answer) {
        switch answer {
        case .grade(let grade): self.grade = grade
        case .measurement(let value): measurement = value
        case .boxes(let set):
            boxes.boxes = set.boxes.map { box in
                var wire = WireBox()
                wire.label = box.label
                wire.left = box.left
                wire.top = box.top
                wire.right = box.right
                wire.bottom = box.bottom
                return wire
            }
        case .mask(let own): mask.runs = own.runs
        }
    }
}

/// Brings one reader's answers through commit and reveal, from wherever they stand.
///
/// Nothing is remembered between runs: the site's worklist says what is still missing, and the
/// salts come from the reader's key.
struct AnnotationSession {
    /// How long to wait before the worklist is asked for again.
    private static let pause = Duration.milliseconds(700)

    private let link: SiteLink
    private let source: AnswerSource
    private let read: [AnswerRow]
    /// The answers by item, once the worklist has said which items there are.
    private var rows: [AnnotatedItem] = []
    private let salts: ReaderSalts
    private let submitter: Submitter
    private var committed = 0
    private var revealed = 0
    private var rejected: [RejectedRow] = []
    /// Items for which a commitment or a reveal was refused; they are not sent again.
    private var refused: Set<ItemID> = []
    /// Transactions handed to the site, of which the last may not have arrived.
    private(set) var sent = 0

    init(link: SiteLink, source: AnswerSource, rows: [AnswerRow]) {
        self.link = link
        self.source = source
        read = rows
        salts = ReaderSalts(
            account: link.keys.account, network: link.genesis.network, key: link.keys.signing,
            others: link.keys.others)
        submitter = Submitter(
            keys: link.keys, network: link.genesis.network, sink: link.client)
    }

    /// Sends what is missing until nothing is, or until only other readers are awaited.
    mutating func run(waits: Bool) async throws -> AnnotateReport {
        let progress = ProgressLine()
        defer { progress.clear() }
        let items = try await link.worklist()
        rows = try resolved(items)
        var ledger = LedgerAnswers(items, salts: salts)
        try check(ledger)
        try await commit(rows.filter { ledger.state(of: $0) == .commit })
        while true {
            ledger = try await ledgerAnswers()
            refuseForeign(ledger)
            let open = rows.filter {
                ledger.state(of: $0) == .reveal && !refused.contains($0.item)
            }
            try await reveal(open, ledger)
            let waiting = rows.count {
                ledger.state(of: $0).isOwed && !refused.contains($0.item)
            }
            progress.show("\(rows.count - waiting) of \(rows.count) revealed")
            guard waits, waiting > 0 else { break }
            if open.isEmpty { try await Task.sleep(for: Self.pause) }
        }
        return try await ledgerAnswers().report(
            rows, account: link.keys.account, committed: committed, revealed: revealed,
            rejected: rejected)
    }

    private func ledgerAnswers() async throws -> LedgerAnswers {
        LedgerAnswers(try await link.worklist(), salts: salts)
    }

    /// Finds the item of each row; a foreign one, or an image of another size, is refused.
    private func resolved(_ items: [String: WorklistItem]) throws -> [AnnotatedItem] {
        let known = items.values.compactMap { entry in
            ItemID(entry.item).map {
                ($0, ImageSize(width: entry.width ?? 0, height: entry.height ?? 0))
            }
        }
        return try resolve(
            read, among: known.map { (item: $0.0, size: $0.1) }, source,
            reader: link.keys.account.text)
    }

    /// Refuses a file with another answer than the ledger has.
    private func check(_ ledger: LedgerAnswers) throws {
        for row in rows {
            guard let reason = ledger.contradiction(row) else { continue }
            throw InputFault(file: row.place, line: nil, reason: reason + ". Nothing was sent")
        }
    }

    private mutating func commit(_ rows: [AnnotatedItem]) async throws {
        let transactions = rows.map { row in
            var transaction = WireTransaction()
            transaction.answerCommit.item = row.item.text
            transaction.answerCommit.commitment = data(
                salts.commitment(to: row.answer, of: row.item).bytes)
            return transaction
        }
        committed += try await send(transactions, rows, repeated: .alreadyCommitted)
    }

    private mutating func reveal(
        _ rows: [AnnotatedItem], _ ledger: LedgerAnswers
    ) async throws {
        // Without an opening the row was refused as another answer's.
        let openings = rows.compactMap { row in ledger.opening(row).map { (row, $0) } }
        let transactions = openings.map { row, salt in
            var transaction = WireTransaction()
            transaction.answerReveal.item = row.item.text
            transaction.answerReveal.show(row.answer)
            transaction.answerReveal.salt = data(salt)
            return transaction
        }
        revealed += try await send(
            transactions, openings.map(\.0), repeated: .alreadyRevealed)
    }

    /// Sends transactions and waits for them.
    ///
    /// One that an earlier run sent already, or one that runs beside this, is no failure: whatever
    /// the reason of a rejection, the ledger is asked again whether it has that very answer.
    ///
    /// - Returns: how many were applied.
    private mutating func send(
        _ transactions: [WireTransaction], _ rows: [AnnotatedItem], repeated: Rejection
    ) async throws -> Int {
        guard !transactions.isEmpty else { return 0 }
        sent += transactions.count
        let ids = try await submitter.submit(transactions)
        let outcomes = try await awaitSettlement(
            of: ids, via: link.client, limit: settlementLimit)
        let others = outcomes.rejected.filter {
            $0.rejection != repeated && rows.indices.contains($0.index)
        }
        guard !others.isEmpty else { return outcomes.applied }
        let ledger = try await ledgerAnswers()
        for (index, rejection) in others
        where !ledger.has(rows[index], revealed: repeated == .alreadyRevealed) {
            refuse(
                rows[index],
                ledger.contradiction(rows[index]) ?? rejection?.description
                    ?? "for a reason that this program does not know")
        }
        return outcomes.applied
    }

    /// Refuses answers of which the ledger has another: a second run of the command was faster.
    private mutating func refuseForeign(_ ledger: LedgerAnswers) {
        for row in rows where !refused.contains(row.item) {
            guard let reason = ledger.contradiction(row) else { continue }
            refuse(row, reason)
        }
    }

    private mutating func refuse(_ row: AnnotatedItem, _ reason: String) {
        refused.insert(row.item)
        rejected.append(
            RejectedRow(row: "\(row.place) (\(row.item))", reason: reason))
    }
}
