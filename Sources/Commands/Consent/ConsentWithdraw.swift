import ArgumentParser

extension Tally.Consent {
    struct Withdraw: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Record that patients withdraw consent, from the next block on.",
            discussion: """
                PATIENTS.csv has the columns patient,purposes. See `tally consent show` for the \
                rounds and models that a withdrawal touches.

                Example: tally consent withdraw --patient 4711 --purposes training --home north
                """)

        @Argument(help: "A table of patients.", completion: .file(extensions: ["csv"]))
        var file: String?
        @Option(help: "One patient, by the site's own id, instead of a table.")
        var patient: String?
        @Option(help: "What that patient withdraws; without it, everything.")
        var purposes: String?
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard (file == nil) != (patient == nil) else {
                throw ValidationError("Name either a table of patients or --patient.")
            }
            guard file == nil || purposes == nil else {
                throw ValidationError("--purposes belongs to --patient, not to a table.")
            }
            try checkPatient(patient, purposes)
        }

        func run() async throws {
            let home = try homeOptions.open()
            let rows: [ConsentRow]
            if let file {
                rows = try readWithdrawals(CSVTable(file: file, columns: ["patient", "purposes"]))
            } else {
                rows = try oneConsent(
                    patient, purposes ?? purposeNames.joined(separator: " "))
            }
            try home.requireSite(for: "consent")
            let report = try await sendConsents(
                rows, home: home, until: 0, wait: !settlement.noWait, isGrant: false)
            try output.finish(report)
        }
    }
}
