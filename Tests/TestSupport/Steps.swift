package import Contracts
import Cryptography
package import Ledger
package import Wire

/// Whole steps of a study, for tests of what comes after them; each throws when one is refused.
extension Consortium {
    /// A reader's commitment to a grade.
    package func commit(_ item: ItemID, _ grade: UInt32, by reader: AccountID) throws
        -> WireTransaction
    {
        try commit(item, Answer.grade(grade), by: reader)
    }

    package func reveal(_ item: ItemID, _ grade: UInt32, by reader: AccountID) throws
        -> WireTransaction
    {
        try reveal(item, Answer.grade(grade), by: reader)
    }

    /// A reader's commitment to an answer of any kind.
    package func commit(_ item: ItemID, _ answer: Answer, by reader: AccountID) throws
        -> WireTransaction
    {
        .commit(
            item.text,
            answerCommitment(
                network: network, item: item, annotator: reader, answer: answer,
                salt: try salt(of: reader, for: item, network: network)
            ).bytes)
    }

    package func reveal(_ item: ItemID, _ answer: Answer, by reader: AccountID) throws
        -> WireTransaction
    {
        var transaction = WireTransaction.reveal(
            item.text, 0, salt: try salt(of: reader, for: item, network: network))
        switch answer {
        case .grade(let grade): transaction.answerReveal.grade = grade
        case .measurement(let value): transaction.answerReveal.measurement = value
        case .boxes(let set):
            transaction.answerReveal.boxes.boxes = set.boxes.map { box in
                var wire = WireBox()
                (wire.label, wire.left, wire.top) = (box.label, box.left, box.top)
                (wire.right, wire.bottom) = (box.right, box.bottom)
                return wire
            }
        case .mask(let mask): transaction.answerReveal.mask.runs = mask.runs
        }
        return transaction
    }

    /// Those who are asked about an item now all give one answer, and the wave ends.
    package mutating func answer(_ item: ItemID, with answer: Answer) throws {
        try self.answer([
            item: Dictionary(
                uniqueKeysWithValues: asked(item).map { ($0, answer) })
        ])
    }

    /// Readers commit in the next block and reveal in the one after it, and the items close.
    package mutating func answer(_ answers: [ItemID: [AccountID: Answer]]) throws {
        let items = answers.keys.sorted()
        let commits = height.value + 1
        for reader in Set(answers.values.flatMap(\.keys)).sorted() {
            let own = items.compactMap { item in answers[item]?[reader].map { (item, $0) } }
            try applied(own.map { try commit($0.0, $0.1, by: reader) }, by: reader, at: commits)
        }
        for reader in Set(answers.values.flatMap(\.keys)).sorted() {
            let own = items.compactMap { item in answers[item]?[reader].map { (item, $0) } }
            try applied(
                own.map { try reveal($0.0, $0.1, by: reader) }, by: reader, at: commits + 1)
        }
        try applied(items.map { .closeItem($0.text) }, by: Self.coordinator, at: commits + 1)
    }

    /// Grants consent for one patient per item and registers the items, all in one block.
    package mutating func register(
        _ items: [ItemID], readers: [AccountID], waive: Bool = false, by site: AccountID
    ) throws {
        let transactions = items.flatMap { item -> [WireTransaction] in
            let patient = named("patient of \(item)")
            return [
                .grant(patient, waive: waive),
                .register(item.text, of: patient, readers: readers.map(\.text)),
            ]
        }
        try applied(transactions, by: site)
    }

    /// All readers of each item commit in the next block, reveal in the one after it, and the items
    /// close.
    package mutating func annotate(_ answers: [ItemID: [AccountID: UInt32]]) throws {
        try answer(answers.mapValues { $0.mapValues(Answer.grade) })
    }

    /// Starts the next run and fixes its reference set by the word of all voters.
    package mutating func startRun(
        _ run: UInt32 = 1, from model: [UInt8]? = nil, rounds: UInt32 = 0
    ) throws {
        let start = height.value + 1
        try applied(
            [.startRun(run, from: model ?? named("model \(run).0"), rounds: rounds)],
            by: Self.developer, at: start)
        for voter in voters.prefix(genesis.voters.quorum) {
            try applied([.fix(run, named("reference \(run)"))], by: voter, at: start)
        }
    }

    /// Opens the next round of a run and has every site on the roster submit an update.
    package mutating func openRound(_ run: UInt32, _ round: UInt32) throws {
        let base = self.run(run).map { [UInt8]($0.model) } ?? []
        try applied([.openRound(run, round, base: base)], by: Self.coordinator)
        for site in sites {
            try applied([submission(run, round, by: site)], by: site, at: height.value)
        }
    }

    package func submission(_ run: UInt32, _ round: UInt32, by site: AccountID) -> WireTransaction {
        .submit(
            run, round, update: named("update \(run).\(round) \(site)"),
            manifest: named("manifest \(run).\(round) \(site)"))
    }

    /// A quorum of voters vouches for the values, and the round closes.
    ///
    /// Gives the effect of the `round.close`.
    @discardableResult
    package mutating func closeRound(
        _ run: UInt32, _ round: UInt32, _ values: WireRoundValues, model: [UInt8]? = nil
    ) throws -> WireEffect {
        let model = model ?? named("model \(run).\(round)")
        let bytes = values.encoded()
        let at = height.value + 1
        for voter in voters.prefix(genesis.voters.quorum) {
            try applied(
                [.checked(run, round, model: model, values: Digest.sha256(bytes).bytes)],
                by: voter, at: at)
        }
        let effects = try applied(
            [.closeRound(run, round, model: model, values: bytes)], by: Self.coordinator, at: at)
        return effects.first ?? WireEffect()
    }
}

/// A round's values.
///
/// Verified records and contribution value of each site in the roster's order, and the records
/// used by pseudonym.
package func roundValues(
    _ sites: [(verified: UInt32, shapley: Int64)], patients: [[UInt8]: UInt32] = [:]
) -> WireRoundValues {
    var values = WireRoundValues()
    values.sites = zip(Consortium.sites, sites).map { site, entry in
        var value = WireSiteValue()
        value.site = site.text
        value.answer = "answered"
        value.verified = entry.verified
        value.shapley = entry.shapley
        return value
    }
    values.patients = patients.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
        var entry = WirePatientRecords()
        entry.patient = data($0.key)
        entry.records = $0.value
        return entry
    }
    values.shapleyDenominator = 6
    return values
}
