import ArgumentParser
import Node

extension Tally {
    struct Backup: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy a node's home while its worker runs.",
            discussion: """
                The copy is whole or not there at all, and `tally verify` works on it. What the \
                node votes for afterwards is not in it: a worker that is started in the copy \
                follows the chain without voting, until `tally site restore` made new keys \
                and a decision brought them in. Private keys are left out unless --with-keys says \
                otherwise; without keys/patients.key nobody can read the patients' rows.

                Exits with 2 when a blob on this disk is damaged; the copy does without it.

                Example: tally backup --home north --to /mnt/backup/north-2025-11-21
                """)

        @Option(help: ArgumentHelp("The copy; nothing may be there yet.", valueName: "folder"))
        var to: String
        @Flag(help: "Copy the private keys, too; keep the copy as safe as the home itself.")
        var withKeys = false
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "a backup")
            let (folder, keys) = (to, withKeys)
            let report = try await offThePool { progress in
                try backup(home: home, to: folder, withKeys: keys, progress: progress)
            }
            try output.show(report, backupText)
            guard report.damagedBlobs.isEmpty else { throw findingExit }
        }
    }
}

private func backupText(_ report: BackupReport) -> String {
    let head = fields([
        ("copy", report.folder), ("settled", "height \(report.settledHeight)"),
        ("blobs", "\(report.blobs)"),
        (
            "keys",
            report.withKeys
                ? "copied; the copy votes no more until `tally site restore`" : "not copied"
        ),
    ])
    return
        ([head]
        + report.damagedBlobs.map {
            "  blob \($0) is damaged on this disk and not in the copy; run `tally repair`"
        }).joined(separator: "\n")
}
