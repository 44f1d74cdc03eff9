import ArgumentParser
import Contracts
import Cryptography
import Foundation
import Ledger
import Node
import Storage
import Wire

extension TransactionID: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

extension Tally {
    struct ReceiptCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "receipt",
            abstract: "Prove to outsiders that a transaction is settled, and what it did.",
            discussion: """
                Example: tally receipt 5f…c2/0 --out receipt.tally --home north
                Example: tally receipt check receipt.tally --genesis genesis.tally
                """,
            subcommands: [ReceiptWrite.self, ReceiptCheck.self],
            defaultSubcommand: ReceiptWrite.self)
    }

    struct ReceiptWrite: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "write",
            abstract: "Write the proof of a settled transaction to a file.",
            discussion: """
                The transaction's id is that of `tally statement --format json`, or an envelope's id, \
                a slash and a number from 0. The whole log is hashed for it.
                """)

        @Argument(help: "The transaction, <64 hex digits>/<number>.")
        var transaction: TransactionID
        @Option(help: ArgumentHelp("Where to write the proof.", valueName: "file"))
        var out: String
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let home = try options.home()
            try home.requireNode(for: "making a receipt")
            let (transaction, out) = (transaction, out)
            let (proof, settled) = try await offThePool { _ in
                let store = try LedgerStore.reading(at: home.ledger)
                let proof = try Prover(store).proof(of: transaction)
                return (proof, try proof.check(genesis: store.genesis))
            }
            try Data(proof.bytes).write(to: URL(filePath: out), options: .atomic)
            try options.output.show(ReceiptReport(settled)) { report in
                report.text + "\nwritten to \(out), \(proof.bytes.count) bytes"
            }
        }
    }

    struct ReceiptCheck: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "Check a proof with the genesis document alone: no node, no network.",
            discussion: """
                Exits with 0 when it proves what is printed, with 2 when it proves nothing.

                Example: tally receipt check receipt.tally --genesis genesis.tally
                """)

        @Argument(help: "The proof.")
        var file: String
        @OptionGroup var genesisOptions: GenesisOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let genesis = try genesisOptions.document()
            let bytes = try proofFile(file, atMost: SettlementProof.maximumBytes)
            let settled: SettledBlock
            do throws(ProofFault) {
                settled = try SettlementProof(strictly: bytes).check(genesis: genesis)
            } catch {
                try output.show(ProofRefusal(error.description)) { refusal in
                    "it proves nothing: \(refusal.reason)"
                }
                throw findingExit
            }
            try output.show(ReceiptReport(settled), \.text)
        }
    }
}

/// Where the genesis document is.
struct GenesisOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The genesis document; without it, that of the home.", valueName: "file"))
    var genesis: String?
    @Option(
        help: ArgumentHelp(
            "The folder of a node or member; without it, TALLY_HOME.", valueName: "folder"))
    var home: String?

    func document() throws -> Genesis {
        guard let genesis else { return try Home(try homePath(home)).genesisDocument() }
        do {
            return try Genesis(strictly: try proofFile(genesis, atMost: 64 << 20))
        } catch let fault as GenesisFault { throw CommandFault("\(genesis): \(fault)") }
    }
}

/// What a proof file holds; a file that nobody could have made is not read.
func proofFile(_ path: String, atMost limit: Int) throws -> [UInt8] {
    try fileContent(path, atMost: limit)
}

/// Why a file proves nothing.
struct ProofRefusal: Codable {
    let proven: Bool
    let reason: String

    init(_ reason: String) {
        proven = false
        self.reason = reason
    }
}

/// What a proof shows.
struct ReceiptReport: Codable {
    struct Posting: Codable {
        let debit: String
        let credit: String
        let amount: String
        let rule: String
        let availableFrom: UInt64
    }

    struct Transaction: Codable {
        let id: String
        let signer: String
        let kind: String
        /// 0 applied, else the code of the rejection.
        let outcome: UInt32
        let reason: String
        let postings: [Posting]
        @OrNull var logIndex: UInt64?
    }

    let proven: Bool
    let height: UInt64
    let term: UInt64
    let block: String
    let time: String
    @OrNull var transaction: Transaction?
}

extension ReceiptReport {
    init(_ settled: SettledBlock) {
        proven = true
        height = settled.slot.height.value
        term = settled.slot.term.value
        block = settled.hash.hex
        time = timeText(milliseconds: settled.timeMilliseconds)
        transaction = settled.transaction.map(Transaction.init)
    }

    var text: String {
        var rows = [
            ("proven", "settled at height \(height), term \(term)"), ("time", time),
            ("block", block),
        ]
        guard let transaction else { return fields(rows) }
        rows += [
            ("transaction", transaction.id), ("kind", transaction.kind),
            ("signer", transaction.signer), ("outcome", transaction.reason),
        ]
        var table = Table("debit", "credit", "amount", "rule", "available from")
        for posting in transaction.postings {
            table.add(
                posting.debit, posting.credit, posting.amount, posting.rule,
                String(posting.availableFrom))
        }
        return fields(rows) + "\n\n" + table.text
    }
}

extension ReceiptReport.Transaction {
    fileprivate init(_ settled: SettledTransaction) {
        id = settled.id.description
        signer = settled.signer.text
        kind = settled.content.kindName
        outcome = settled.effect.outcome
        reason =
            outcome == 0
            ? "applied"
            : "rejected: " + (Rejection(rawValue: outcome)?.description ?? "code \(outcome)")
        postings = settled.effect.postings.map { posting in
            ReceiptReport.Posting(
                debit: posting.debit, credit: posting.credit,
                amount: TokenAmount(microtokens: posting.microtokens).description,
                rule: posting.rule, availableFrom: posting.availableFrom)
        }
        logIndex = settled.logIndex
    }
}

extension WireTransaction {
    /// What a transaction is called in `Protocols/transactions.md`.
    fileprivate var kindName: String {
        switch body {
        case .memberEnrol: "member.enrol"
        case .consentGrant: "consent.grant"
        case .consentWithdraw: "consent.withdraw"
        case .recordRegister: "record.register"
        case .answerCommit: "answer.commit"
        case .answerReveal: "answer.reveal"
        case .itemClose: "item.close"
        case .periodClose: "period.close"
        case .runStart: "run.start"
        case .runStop: "run.stop"
        case .referenceOffer: "reference.offer"
        case .referenceFix: "reference.fix"
        case .roundOpen: "round.open"
        case .updateSubmit: "update.submit"
        case .roundChecked: "round.checked"
        case .roundClose: "round.close"
        case .windowExpire: "window.expire"
        case .memberRekey: "member.rekey"
        case .memberRevoke: "member.revoke"
        case .evidenceSubmit: "evidence.submit"
        case .seedOpen: "seed.open"
        case .itemDispute: "item.dispute"
        case .goldCommit: "gold.commit"
        case .goldReveal: "gold.reveal"
        case .transfer: "transfer"
        case .redemptionRequest: "redemption.request"
        case .redemptionPay: "redemption.pay"
        case .redemptionAccept: "redemption.accept"
        case .redemptionCancel: "redemption.cancel"
        case .claimKey: "claim.key"
        case .claim: "claim"
        case .correction: "correction"
        case .revenuePost: "revenue.post"
        case nil: "nothing"
        }
    }
}
