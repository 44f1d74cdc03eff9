import ArgumentParser
import Contracts
import Cryptography
import Ledger
import Node
import Storage
import Wire

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
                `tally gold reveal`.

                Example: tally gold commit truth.csv --home office
                """)

        @OptionGroup var gold: GoldOptions

        func run() async throws {
            let (home, gold, output) = (try gold.home(), try gold.read(), gold)
            var transaction = WireTransaction()
            transaction.goldCommit.commitment = data(gold.commitment)
            try output.finish(try await output.send(transaction, from: home))
        }
    }

    struct Reveal: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the true answers once the period can close, before it does.",
            discussion: """
                With the same file as `tally gold commit`. Items that were registered before the \
                commitment, or read by this organisation, are passed over.

                Example: tally gold reveal truth.csv --home office
                """)

        @OptionGroup var gold: GoldOptions

        func run() async throws {
            let (home, gold, output) = (try gold.home(), try gold.read(), gold)
            var transaction = WireTransaction()
            transaction.goldReveal.commitment = data(gold.commitment)
            transaction.goldReveal.answers = gold.answers
            transaction.goldReveal.salt = data(gold.salt)
            try output.finish(try await output.send(transaction, from: home))
        }
    }
}

/// A commitment to gold, and what opens it.
struct GoldFile {
    let commitment: [UInt8]
    let answers: [WireGoldAnswer]
    let salt: [UInt8]
}

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
        let content = goldCommitment(
            network: network, organisation: keys.account, answers: entries, salt: [])
        let salt = hmacSHA256(
            key: keys.signing.derivedSecret(label: "tally/gold-salt/v1"), content.bytes
        ).bytes
        return GoldFile(
            commitment: goldCommitment(
                network: network, organisation: keys.account, answers: entries, salt: salt
            ).bytes, answers: entries, salt: salt)
    }
}
