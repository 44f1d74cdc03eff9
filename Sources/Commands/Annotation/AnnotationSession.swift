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
    private var rejected: [WriteReport.RejectedRow] = []
    /// Items for which a reveal was refused; they are not sent again.
    private var refused: Set<ItemID> = []

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

    /// The salt with which an answer opens the commitment that the chain has of it.
    private func opening(
        _ row: AnnotatedItem, _ states: [String: WorklistItem]
    ) -> [UInt8]? {
        states[row.item.text]?.commitment.flatMap {
            salts.salt(opening: $0, row.answer, of: row.item)
        }
    }

    /// Sends what is missing until nothing is, or until only other readers are awaited.
    mutating func run(waits: Bool) async throws -> AnnotateReport {
        let progress = ProgressLine()
        defer { progress.clear() }
        var states = try await link.worklist()
        rows = try resolved(states)
        try check(states)
        try await commit(rows.filter { state($0, states) == .commit })
        while true {
            states = try await link.worklist()
            refuseForeign(states)
            let open = rows.filter {
                state($0, states) == .reveal && !refused.contains($0.item)
            }
            try await reveal(open, states)
            let waiting = rows.count {
                [.commit, .wait, .reveal].contains(state($0, states))
                    && !refused.contains($0.item)
            }
            progress.show("\(rows.count - waiting) of \(rows.count) revealed")
            guard waits, waiting > 0 else { break }
            if open.isEmpty { try await Task.sleep(for: Self.pause) }
        }
        states = try await link.worklist()
        return report(states)
    }

    private func report(_ states: [String: WorklistItem]) -> AnnotateReport {
        let all = rows.map { state($0, states) }
        return AnnotateReport(
            account: link.keys.account.text, answers: rows.count, committed: committed,
            revealed: revealed, done: all.count { $0 == .done || $0 == .closed },
            waiting: all.count { $0.isOwed }, missed: all.count { $0 == .missed },
            unrevealed: rows.count {
                state($0, states) == .missed && states[$0.item.text]?.commitment != nil
            },
            rejected: rejected)
    }

    private func state(
        _ row: AnnotatedItem, _ states: [String: WorklistItem]
    ) -> WorklistItem.State {
        states[row.item.text]?.state ?? .missed
    }

    /// Finds the item of each row; a foreign one, or an image of another size, is refused.
    private func resolved(_ states: [String: WorklistItem]) throws -> [AnnotatedItem] {
        let known = states.values.compactMap { entry in
            ItemID(entry.item).map {
                ($0, ImageSize(width: entry.width ?? 0, height: entry.height ?? 0))
            }
        }
        return try resolve(
            read, among: known.map { (item: $0.0, size: $0.1) }, source,
            reader: link.keys.account.text)
    }

    /// Refuses a file with another answer than was committed.
    private func check(_ states: [String: WorklistItem]) throws {
        for row in rows {
            guard let entry = states[row.item.text] else { continue }
            guard entry.state == .wait || entry.state == .reveal, entry.commitment != nil
            else { continue }
            guard opening(row, states) != nil else {
                throw InputFault(
                    file: row.place, line: nil,
                    reason: "\(row.item) was committed with another answer than this, or under "
                        + "a key that this home has not; reveal it with the file that was "
                        + "committed. Nothing was sent")
            }
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
        _ rows: [AnnotatedItem], _ states: [String: WorklistItem]
    ) async throws {
        var openings: [(AnnotatedItem, [UInt8])] = []
        for row in rows {
            if let salt = opening(row, states) {
                openings.append((row, salt))
            } else {
                refuse(row, "it was committed meanwhile with another answer than this")
            }
        }
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

    /// Sends transactions and waits for them; one that an earlier run sent already is no failure.
    ///
    /// - Returns: how many were applied.
    private mutating func send(
        _ transactions: [WireTransaction], _ rows: [AnnotatedItem], repeated: Rejection
    ) async throws -> Int {
        guard !transactions.isEmpty else { return 0 }
        let ids = try await submitter.submit(transactions)
        let outcomes = try await awaitSettlement(
            of: ids, via: link.client, limit: settlementLimit)
        for (index, rejection) in outcomes.rejected where rejection != repeated {
            guard rows.indices.contains(index) else { continue }
            refuse(
                rows[index],
                rejection?.description ?? "for a reason that this program does not know")
        }
        return outcomes.applied
    }

    /// Refuses answers of which the chain has another: a second run of the command was faster.
    private mutating func refuseForeign(_ states: [String: WorklistItem]) {
        for row in rows where !refused.contains(row.item) {
            let entry = states[row.item.text]
            guard entry?.state == .wait || entry?.state == .reveal, entry?.commitment != nil,
                opening(row, states) == nil
            else { continue }
            refuse(
                row,
                "it was committed meanwhile with another answer than this; reveal it with the file "
                    + "that was committed")
        }
    }

    private mutating func refuse(_ row: AnnotatedItem, _ reason: String) {
        refused.insert(row.item)
        rejected.append(
            WriteReport.RejectedRow(row: "\(row.place) (\(row.item))", reason: reason))
    }
}
