import ArgumentParser
import Node

extension Tally {
    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check every hash, signature, certificate, root, balance and blob of a node.",
            discussion: """
                Believes nothing but the genesis document, and needs no other node; the worker may \
                be running. Exits with 2 when something is not sound. While a site that has just \
                joined lacks its history, what is there is checked and the report says so.

                Example: tally verify --home north
                """)

        @OptionGroup var options: ReadOptions

        func run() async throws {
            let home = try options.home()
            try home.requireNode(for: "verifying")
            let report = try await offThePool { progress in
                try verify(home: home, progress: progress)
            }
            try options.output.show(report, verificationText)
            guard report.sound else { throw findingExit }
        }
    }
}

private func verificationText(_ report: VerificationReport) -> String {
    let findings = report.findings.map { "  \($0)" }
    let more = report.findingCount - report.findings.count
    let head = fields([
        ("verdict", report.sound ? "sound" : "NOT SOUND: \(report.findingCount) findings"),
        (
            "history",
            report.partial
                ? "PARTIAL: not executed from genesis until `tally status` says it is complete"
                : "complete"
        ),
        ("height", "\(report.height)"),
        ("transactions", "\(report.transactions) in \(report.envelopes) envelopes"),
        ("postings", "\(report.postings)"), ("state entries", "\(report.stateEntries)"),
        ("blobs", "\(report.blobs) here, \(report.blobsElsewhere) kept by other members"),
    ])
    return ([head] + findings + (more > 0 ? ["  … and \(more) more"] : []))
        .joined(separator: "\n")
}
