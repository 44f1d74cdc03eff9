import Contracts
import Cryptography
package import Ledger
package import Storage
import Wire

/// Builds reports from the settled state of one ledger file.
///
/// Offline commands and the gateway share it, so that an annotator who asks a site reads what the
/// site reads on its own disk.
package struct Reporter: Sendable {
    /// A report is read again when a block settles meanwhile, so often at most.
    static let attempts = 20

    package let store: LedgerStore
    /// For the loss of models, which the chain does not state.
    let blobs: BlobStore?

    /// - Parameters:
    ///   - store: opened for reading.
    ///   - blobs: of the same home; without them a loss is left out.
    package init(store: LedgerStore, blobs: BlobStore? = nil) {
        self.store = store
        self.blobs = blobs
    }

    /// Answers a report by name.
    ///
    /// - Parameters:
    ///   - report: a ``ReportName``.
    ///   - arguments: as the report takes them; own account or newest run when left out.
    ///   - asker: who asks from outside; nil on this machine, where all is allowed.
    /// - Returns: JSON, keys sorted.
    /// - Throws: ``ReportError`` for the asker; an error of the store otherwise.
    package func answer(
        report: String, arguments: [String], asker: AccountID?
    ) throws -> [UInt8] {
        guard let name = ReportName(rawValue: report) else {
            throw ReportError.unknownReport(String(report.prefix(64)))
        }
        let arguments = ReportArguments(report: name, texts: arguments, asker: asker)
        try permit(name, arguments, asker: asker)
        switch name {
        case .status: return try reportJSON(status())
        case .balance: return try reportJSON(balance(of: arguments.account()))
        case .statement:
            return try reportJSON(
                statement(
                    of: arguments.account(), from: arguments.number(1),
                    to: arguments.number(2)))
        case .supply: return try reportJSON(supply())
        case .score: return try reportJSON(score(of: arguments.account()))
        case .explain:
            let item = try arguments.item()
            let mustHide = try asker.map { try adjudicates($0, item) } ?? false
            let report = try explain(item)
            return try reportJSON(
                mustHide || arguments.isAnonymous ? try report.anonymous() : report)
        case .worklist:
            return try reportJSON(
                worklist(of: arguments.account(), after: arguments.optionalItem(1)))
        case .rounds: return try reportJSON(rounds(run: arguments.run(0)))
        case .members: return try reportJSON(members())
        case .data: return try reportJSON(data())
        case .consent: return try reportJSON(consent(of: arguments.pseudonym()))
        case .lineage: return try reportJSON(lineage(of: arguments.digest()))
        case .redemptions: return try reportJSON(redemptions(for: asker))
        }
    }

    /// Voters hold the whole ledger; other members are told what is theirs.
    private func permit(
        _ report: ReportName, _ arguments: ReportArguments, asker: AccountID?
    ) throws {
        guard let asker, asker.role?.votes != true else { return }
        func refuse(_ reason: String) -> ReportError {
            .notPermitted(asker: asker.text, reason: reason)
        }
        switch report {
        case .status, .rounds, .redemptions: return
        case .balance, .statement:
            let own = [asker] + escrowAccounts(of: asker)
            guard own.contains(try arguments.account()) else {
                throw refuse("money is shown to its owner; ask for \(asker)")
            }
        case .score, .worklist:
            guard try arguments.account() == asker else {
                throw refuse("a \(report.rawValue) is shown to its owner; ask for \(asker)")
            }
        case .explain:
            let item = try arguments.item()
            let readers = try read { view in view.state.item(item)?.everyReader ?? [] }
            guard readers.contains(asker.text) else {
                throw refuse("\(item) is not among the items that it reads")
            }
        case .supply, .members, .data, .consent, .lineage:
            throw refuse("report \(report.rawValue) is for sites and the coordinator")
        }
    }

    /// Whether a senior is asked about an item now: names could sway whoever adjudicates.
    private func adjudicates(_ asker: AccountID, _ item: ItemID) throws -> Bool {
        try read { view in
            guard let state = view.state.item(item), state.isUnderWay,
                let wave = state.later.last
            else { return false }
            return wave.seniors && wave.readers.contains(asker.text)
        }
    }

    /// Reads a report while no block settles in between.
    ///
    /// Unless it is strict, a report that never finds such a moment may mix two heights: for lists,
    /// that is late, not wrong.
    func read<Report>(
        isStrict: Bool = true, _ build: (inout ReportView) throws -> Report
    ) throws -> Report {
        for attempt in 1...Self.attempts {
            let tip = try store.tip()
            var view = ReportView(store: store, tip: tip)
            let result = Result { try build(&view) }
            let isSteady = try store.tip().hash == tip.hash
            guard isSteady || (attempt == Self.attempts && !isStrict) else { continue }
            if let fault = view.state.fault { throw fault }
            return try result.get()
        }
        throw ReportError.busy
    }
}

/// The settled state at one height.
struct ReportView {
    let store: LedgerStore
    let tip: Tip
    var state: ChangeSet

    init(store: LedgerStore, tip: Tip) {
        self.store = store
        self.tip = tip
        state = ChangeSet(above: SQLiteState(store))
    }

    var height: UInt64 { tip.height.value }
    /// In force at the report's height.
    var agreement: WireAgreement { tip.terms.newest.agreement }

    /// Money posted in the newest settled block is usable from two heights later on, and so is
    /// available: the height at which balances are looked at.
    var moneyHeight: UInt64 { tip.height.advanced(by: 2).value }

    /// Entries of a table with their values.
    mutating func all<Value: WireValue>(
        _ type: Value.Type, _ table: StateTable, prefix: [UInt8] = []
    ) -> [(key: [UInt8], value: Value)] {
        state.entries(in: table, prefix: prefix).compactMap { entry in
            (try? Value(strictly: entry.value)).map { (entry.key.key, $0) }
        }
    }
}

/// A reader's stake and penalties, and what any member has put aside to be paid out.
func escrowAccounts(of member: AccountID) -> [AccountID] {
    let waiting = [ConsortiumAccount.redemption(of: member)]
    guard member.role == .annotator else { return waiting }
    return [ConsortiumAccount.stake(of: member), ConsortiumAccount.appeal(of: member)] + waiting
}

/// What a report was asked about.
struct ReportArguments {
    let report: ReportName
    let texts: [String]
    let asker: AccountID?

    private func fault(_ reason: String) -> ReportError {
        .badArgument(report: report, reason: reason)
    }

    private func text(_ index: Int) -> String? {
        texts.indices.contains(index) && !texts[index].isEmpty ? texts[index] : nil
    }

    func account() throws -> AccountID {
        guard let text = text(0) else {
            guard let asker else { throw fault("name an account, such as site/north") }
            return asker
        }
        guard let account = AccountID(text) else {
            throw fault("\"\(text)\" is not an account; write it as role/name")
        }
        return account
    }

    func item() throws -> ItemID {
        guard let item = try optionalItem(0) else {
            throw fault("name an item, such as north/n0001")
        }
        return item
    }

    func optionalItem(_ index: Int) throws -> ItemID? {
        guard let text = text(index) else { return nil }
        guard let item = ItemID(text) else {
            throw fault("\"\(text)\" is not an item; write it as site/record")
        }
        return item
    }

    /// Whether an item is to be explained without names.
    var isAnonymous: Bool { text(1) == "anonymous" }

    func number(_ index: Int) throws -> UInt64? {
        guard let text = text(index) else { return nil }
        guard let number = UInt64(text) else { throw fault("\"\(text)\" is not a whole number") }
        return number
    }

    func run(_ index: Int) throws -> UInt32? {
        guard let number = try number(index) else { return nil }
        guard let run = UInt32(exactly: number), run > 0 else {
            throw fault("runs are counted from 1, there is no run \(number)")
        }
        return run
    }

    func pseudonym() throws -> [UInt8] {
        guard let text = text(0), let pseudonym = Digest(hex: text) else {
            throw fault("a pseudonym has 64 lower-case hexadecimal digits")
        }
        return pseudonym.bytes
    }

    func digest() throws -> Digest {
        guard let text = text(0), let digest = Digest(hex: text) else {
            throw fault("a model is named by 64 lower-case hexadecimal digits")
        }
        return digest
    }
}
