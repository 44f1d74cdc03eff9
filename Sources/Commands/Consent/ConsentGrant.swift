import ArgumentParser

extension Tally.Consent {
    struct Grant: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Record that patients consent.",
            discussion: """
                PATIENTS.csv has the columns patient,purposes,reward: the site's own patient id, \
                which never leaves the site; purposes separated by spaces (training, evaluation, \
                sharing, commercial); earn or waive. A new grant replaces the one before.

                Example: tally consent grant patients.csv --home north
                Example: tally consent grant --patient 4711 --purposes training,evaluation --waive
                """)

        @Argument(help: "A table of patients.", completion: .file(extensions: ["csv"]))
        var file: String?
        @Option(help: "One patient, by the site's own id, instead of a table.")
        var patient: String?
        @Option(help: "What that patient consents to.")
        var purposes: String?
        @Flag(help: "That patient waives the reward; it goes to the commons.")
        var waive = false
        @Option(
            parsing: .unconditional,
            help: "The last height at which the consent is in force; without it, no end.")
        var until: UInt64?
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard (file == nil) != (patient == nil) else {
                throw ValidationError("Name either a table of patients or --patient.")
            }
            guard patient == nil || purposes != nil else {
                throw ValidationError("Say what --patient consents to with --purposes.")
            }
            guard file == nil || (purposes == nil && !waive) else {
                throw ValidationError("--purposes and --waive belong to --patient, not to a table.")
            }
            guard until != 0 else { throw ValidationError("--until must be above zero.") }
            try checkPatient(patient, purposes)
        }

        func run() async throws {
            let home = try homeOptions.open()
            let rows: [ConsentRow]
            if let file {
                let columns = ["patient", "purposes", "reward"]
                rows = try readGrants(CSVTable(file: file, columns: columns))
            } else {
                rows = try oneConsent(patient, purposes, waives: waive)
            }
            try home.requireSite(for: "consent")
            let report = try await sendConsents(
                rows, home: home, until: until ?? 0, wait: !settlement.noWait, isGrant: true)
            try output.finish(report)
        }
    }
}

/// Refuses what is wrong with a patient named on the command line.
func checkPatient(_ patient: String?, _ purposes: String?) throws {
    if let patient, !isPatientID(patient) {
        throw ValidationError("--patient must have 1 to 256 bytes.")
    }
    guard let purposes else { return }
    do {
        _ = try readPurposes(purposes)
    } catch { throw ValidationError("--purposes: \(error.description)") }
}

func oneConsent(
    _ patient: String?, _ purposes: String?, waives: Bool = false
) throws -> [ConsentRow] {
    guard let patient, let purposes else { return [] }
    return [
        ConsentRow(
            place: "--patient", patient: patient, purposes: try readPurposes(purposes),
            waivesReward: waives)
    ]
}
