import ArgumentParser
import Contracts
package import Cryptography
import Foundation
import Ledger
import Node
import Storage
import Wire

extension Tally {
    struct ClaimCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "claim",
            abstract: "Let patients claim what they earned, with a key of their own.",
            discussion: """
                A patient's money waits on patient/PSEUDONYM. The patient makes a key, its site \
                registers the public half once, and whoever holds the key moves the money later. \
                The site cannot: from then on no other key is taken for this patient.

                Example: tally claim key my-claim.pem
                Example: tally claim register --patient 4711 --key 83…1f --home north
                Example: tally claim take 9c…02 --key my-claim.pem --to patient-trust --home north
                """,
            subcommands: [ClaimKeyCommand.self, ClaimRegister.self, ClaimTake.self])
    }

    struct ClaimKeyCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "key",
            abstract: "Make a claim key; its holder owns the money.",
            discussion: """
                Set TALLY_PASSPHRASE to encrypt it.

                Example: tally claim key my-claim.pem
                """)

        @Argument(help: "Where to write the private key, mode 0600.")
        var file: String
        @OptionGroup var output: FormatOptions

        func run() async throws {
            guard !FileManager.default.fileExists(atPath: file) else {
                throw CommandFault("\(file) exists already; it is not overwritten")
            }
            let key = try SigningKey.generate()
            let folder = URL(filePath: file).deletingLastPathComponent().path
            try Home(folder.isEmpty ? "." : folder).write(
                Array(try key.pem(passphrase: passphrase()).utf8), to: file, secret: true)
            try output.show(ClaimKeyReport(key: key.verifyingKey.hex, file: file)) {
                "public key  \($0.key)\nprivate key \($0.file)"
            }
        }
    }

    struct ClaimRegister: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "register",
            abstract: "State, as the patient's site, with which key it will claim; once for all.",
            discussion: "Example: tally claim register --patient 4711 --key 83…1f --home north")

        @Option(help: "The site's own patient id.")
        var patient: String
        @Option(help: "The public key, 64 hexadecimal digits.")
        var key: String
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            try checkPatient(patient, nil)
            guard Digest(hex: key) != nil else {
                throw ValidationError("--key must have 64 lower-case hexadecimal digits.")
            }
        }

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireSite(for: "a claim key")
            let report = try await LocalNode.connected(to: home) { node in
                var transaction = WireTransaction()
                transaction.claimKey.patient = data(try await node.pseudonym(of: patient))
                transaction.claimKey.key = data(Digest(hex: key)?.bytes ?? [])
                return try await writeReport(
                    of: node.contribute([transaction]), places: ["--patient"],
                    wait: !settlement.noWait, via: node.client)
            }
            try output.finish(report)
        }
    }

    struct ClaimTake: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "take",
            abstract: "Move a patient's money to a member, signed with the claim key.",
            discussion: """
                The claim is signed here and brought by this node; it cannot be changed on the way.

                Example: tally claim take 9c…02 --key my-claim.pem --to treasurer/trust --home north
                """)

        @Argument(help: "The patient's pseudonym, 64 hexadecimal digits.")
        var patient: String
        @Option(help: ArgumentHelp("The private claim key.", valueName: "file"))
        var key: String
        @Option(help: "The member that receives it.")
        var to: AccountID
        @Option(parsing: .unconditional, help: "Tokens; without it, all that is available.")
        var amount: String?
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard Digest(hex: patient) != nil else {
                throw ValidationError("A pseudonym has 64 lower-case hexadecimal digits.")
            }
            if let amount { _ = try Commands.amount(amount, option: "--amount") }
        }

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "bringing a claim")
            let pseudonym = Digest(hex: patient)?.bytes ?? []
            let store = try LedgerStore.reading(at: home.ledger)
            var state = ChangeSet(above: SQLiteState(store))
            let claims = state.claims(of: pseudonym)?.claims
            if let fault = state.fault { throw fault }
            guard let claims else {
                throw CommandFault(
                    "no claim key of patient/\(patient) is settled; its site registers one with "
                        + "`tally claim register`")
            }
            var statement = WireClaimStatement()
            statement.patient = data(pseudonym)
            statement.to = to.text
            statement.microtokens =
                try amount.map { try Commands.amount($0, option: "--amount").microtokens } ?? 0
            statement.number = claims + 1
            let signing = try claimKey(in: key)
            let signed = payload(.claim, network: store.genesis.network, statement.encoded())
            var transaction = WireTransaction()
            transaction.claim.statement = data(statement.encoded())
            transaction.claim.signature = data(try signing.sign(signed).bytes)
            try output.finish(
                try await send(
                    transaction, named: "claim of patient/\(patient.prefix(12))…", from: home,
                    wait: !settlement.noWait,
                    spending: Spending(
                        of: patientAccount(pseudonym),
                        TokenAmount(microtokens: statement.microtokens))))
        }
    }
}

/// Reads a private claim key; a refusal names the file.
package func claimKey(in file: String) throws -> SigningKey {
    do {
        return try SigningKey(pem: utf8Text(readFile(file), file: file), passphrase: passphrase())
    } catch let error as CryptographyError {
        throw CommandFault("\(file): \(sentence(for: error))")
    }
}

private struct ClaimKeyReport: Codable {
    let key: String
    let file: String
}
