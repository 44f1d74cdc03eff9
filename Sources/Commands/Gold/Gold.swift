import ArgumentParser
package import Contracts
package import Cryptography
package import Ledger
import Node
import Storage
package import Wire

extension Tally {
    struct Gold: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bind true answers to items before anybody reads them, and show them later.",
            subcommands: [Commit.self, Reveal.self])
    }
}

extension Tally.Gold {
    struct Commit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Commit to a file of true answers before its items are registered.",
            discussion: """
                In the home of the organisation that the agreement names. ANSWERS is a table \
                item,answer, or another file that `tally annotate` reads. The chain learns one hash; \
                the salt comes from the node's key and the file, so keep the file until \
                `tally gold reveal`. All gold of a period counts or none: best commit to it in one \
                file, after the close of the period before. A file of fewer than ten items, or of one \
                class only, is refused: readers' agreement beyond chance has no room on it, so that \
                nobody would weigh in anybody's pay. So is one that names items which are \
                registered already, as those can never count.

                Example: tally gold commit truth.csv --home office
                """)

        @Flag(
            help: """
                Commit to few items, to one class only, to items of unknown sites, or to some that \
                cannot count, all the same.
                """)
        var anyway = false
        @OptionGroup var gold: GoldOptions

        func run() async throws {
            let (home, file, output) = (try gold.home(), try gold.read(), gold)
            if !anyway, let doubt = goldDoubt(file.truths, kind: file.kind) {
                throw InputFault(file: gold.answers, line: nil, reason: doubt)
            }
            try checkItems(of: file, home)
            let gold = file.openings[0]
            var transaction = WireTransaction()
            transaction.goldCommit.commitment = data(gold.commitment)
            try output.finish(try await output.send(transaction, from: home))
        }

        /// Refuses items for which the answers cannot count; told to go on, says so.
        private func checkItems(of file: GoldFile, _ home: Home) throws {
            let reporter = try reporter(home)
            let items = file.answers.map(\.item)
            let sites = try reporter.members().members.filter { $0.endedHeight == nil }
                .compactMap { AccountID($0.account) }.filter { $0.role == .site }.map(\.name)
            let doubt = goldItemsDoubt(
                items, registered: try reporter.registered(items), sites: Set(sites))
            guard let doubt else { return }
            guard anyway, !doubt.isHopeless else {
                throw InputFault(
                    file: gold.answers, line: nil,
                    reason: "\(doubt.text). Nothing was sent; leave them out"
                        + (doubt.isHopeless ? "" : ", or say --anyway"))
            }
            printError("warning: \(doubt.text)")
        }
    }

    struct Reveal: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the true answers once the period can close, before it does.",
            discussion: """
                With the same file as `tally gold commit`, when all its items have their outcome. \
                Items that were registered before the commitment, or read by this organisation, are \
                passed over, and named with the reason (in JSON passedOver; counting is how many \
                count). One commitment that is never shown takes all gold of the period with it.

                Example: tally gold reveal truth.csv --home office
                """)

        @OptionGroup var gold: GoldOptions

        func run() async throws {
            let (home, file, output) = (try gold.home(), try gold.read(), gold)
            let reporter = try reporter(home)
            // Keys may have changed since the commitment.
            let awaited = try file.openings.compactMap { opening in
                try reporter.awaitedGold(opening.commitment).map { (opening, $0) }
            }
            guard let (opening, commitment) = awaited.first else {
                throw CommandFault(
                    unknownGoldText(
                        file.organisation, shown: try reporter.shownGold(file.answers),
                        waiting: try reporter.awaitedGold(of: file.organisation)))
            }
            var transaction = WireTransaction()
            transaction.goldReveal.commitment = data(opening.commitment)
            transaction.goldReveal.answers = file.answers
            transaction.goldReveal.salt = data(opening.salt)
            let report = try await output.send(transaction, from: home)
            let isTaken = report.settled && report.rejected.isEmpty
            let passedOver =
                isTaken
                ? try reporter.passedOver(file.answers, commitment, of: file.organisation) : nil
            let shown = GoldShown(report, answers: file.answers.count, passedOver: passedOver)
            try output.output.show(shown) { shown in
                guard shown.counting != nil else { return shown.written.text }
                return shown.written.text + "\n"
                    + goldShownText(shown.answers, passedOver: shown.passedOver)
            }
            guard report.rejected.isEmpty else { throw ExitCode.failure }
        }
    }
}

/// True answers, and each way in which the home's keys can have committed to them.
struct GoldFile {
    let organisation: AccountID
    let kind: AnswerKind
    let truths: [Answer]
    let answers: [WireGoldAnswer]
    /// Under the present key first.
    let openings: [GoldOpening]
}

/// A commitment to gold under one key, and the salt that opens it.
package struct GoldOpening: Hashable, Sendable {
    package let commitment: [UInt8]
    package let salt: [UInt8]
}

/// The openings of true answers under each of a home's keys.
package func goldOpenings(
    of answers: [WireGoldAnswer], network: NetworkID, organisation: AccountID, keys: [SigningKey]
) -> [GoldOpening] {
    func commitment(_ salt: [UInt8]) -> Digest {
        goldCommitment(
            network: network, organisation: organisation, answers: answers, salt: salt)
    }
    let content = commitment([])
    return keys.map { key in
        let salt = hmacSHA256(
            key: key.derivedSecret(label: "tally/gold-salt/v1"), content.bytes
        ).bytes
        return GoldOpening(commitment: commitment(salt).bytes, salt: salt)
    }
}

/// Why true answers would take everybody's weight in the pay reference, if they would.
///
/// A reader weighs by its agreement with gold beyond chance. On one class alone chance is already
/// perfect, on a handful of items one slip more or less decides: all weigh 0, and nobody is paid.
package func goldDoubt(_ truths: [Answer], kind: AnswerKind) -> String? {
    let advice = "; commit to more, or say --anyway"
    guard truths.count >= leastGold else {
        return
            "has \(truths.count) true answers; on fewer than \(leastGold) the readers' agreement "
            + "beyond chance is chance itself, and all of them may weigh 0 in everybody's pay"
            + advice
    }
    guard !kind.isGrade || Set(truths).count > 1 else {
        return "has one class only, on which no agreement is beyond chance: every reader would "
            + "weigh 0 in everybody's pay" + advice
    }
    return nil
}

/// How many true answers a commitment has at least, unless its owner insists.
private let leastGold = 10

struct GoldOptions: ParsableArguments {
    @Argument(
        help: "True answers: a table, a COCO file or a Label Studio export.",
        completion: .file(extensions: ["csv", "json"]))
    var answers: String
    @OptionGroup var homeOptions: HomeOptions
    @OptionGroup var settlement: SettlementOptions
    @OptionGroup var output: FormatOptions

    func home() throws -> Home {
        let home = try homeOptions.open()
        try home.requireNode(for: "proposing gold")
        return home
    }

    func send(_ transaction: WireTransaction, from home: Home) async throws -> WriteReport {
        try await contribute(
            [transaction], place: answers, from: home, wait: !settlement.noWait)
    }

    func finish(_ report: WriteReport) throws { try output.finish(report) }

    /// Reads the file and derives the salt.
    func read() throws -> GoldFile {
        let home = try home()
        let reporter = try reporter(home)
        let source = AnswerSource(
            file: answers, rule: try reporter.store.terms().newest.agreement.annotation)
        let rows = try readAnswers(try readFile(answers), source)
        var truths: [ItemID: [UInt8]] = [:]
        for row in rows {
            guard let item = ItemID(row.name), let answer = row.answer else {
                throw InputFault(
                    file: row.place, line: nil,
                    reason: "\"\(row.name)\" is no item with an answer; name items as site/record")
            }
            truths[item] = answer.bytes
        }
        let keys = try home.keyRing(passphrase: passphrase())
        let network = try home.genesisDocument().network
        let entries = truths.sorted { $0.key < $1.key }.map { item, answer in
            var entry = WireGoldAnswer()
            entry.item = item.text
            entry.answer = data(answer)
            return entry
        }
        return GoldFile(
            organisation: keys.account, kind: source.rule.kind, truths: rows.compactMap(\.answer),
            answers: entries,
            openings: goldOpenings(
                of: entries, network: network, organisation: keys.account, keys: keys.all))
    }
}
