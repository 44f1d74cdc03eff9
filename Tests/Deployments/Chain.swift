import Processes

extension Deployment {
    package func status(of name: String) async throws -> StatusReport {
        try await report(StatusReport.self, "status", in: name)
    }

    /// Waits until the chain is silent and all nodes have settled the same height.
    ///
    /// - Returns: where they stand, in the order of ``nodes``.
    package func atRest() async throws -> [StatusReport] {
        var before: UInt64?
        var statuses: [StatusReport] = []
        try await eventually(
            "all nodes come to one height", within: .seconds(90), every: .milliseconds(300)
        ) {
            statuses = try await together(Self.nodes) { try await self.status(of: $0) }
            let heights = Set(statuses.map(\.settledHeight))
            defer { before = heights.count == 1 ? heights.first : nil }
            return heights.count == 1 && heights.first == before
        }
        return statuses
    }

    /// Waits until the newest run is over, as a node sees it.
    package func runFinished(
        in name: String, within time: Duration = .seconds(120)
    ) async throws -> RoundsReport {
        var report: RoundsReport?
        try await eventually("the run ends", within: time, every: .milliseconds(100)) {
            report = try await self.rounds(in: name)
            return report?.state == "finished"
        }
        guard let report else { throw Unexpected(description: "\(name) knows no run") }
        return report
    }

    /// The newest run as a node sees it; nil while there is none.
    package func rounds(in name: String) async throws -> RoundsReport? {
        let ended = try await tally("rounds", "--format", "json", in: name)
        guard ended.status == 0 else { return nil }
        return try RoundsReport(json: ended.output)
    }

    private static let missing = "is not in this store"

    /// What is wrong with the nodes' chains, once they are at rest; nothing, when all is well.
    ///
    /// All must have one chain that is sound, whose training replays to the same bits and whose
    /// tokens are all there.
    package func faults() async throws -> [String] {
        let statuses = try await atRest()
        let hashes = Set(statuses.map(\.settledHash))
        let differing =
            hashes.count == 1 ? [] : ["the nodes settled different blocks at the common height"]
        let found = try await together(Self.nodes) { name in
            var faults: [String] = []
            let verified = try await self.tally("verify", "--format", "json", in: name)
            if verified.status != 0 { faults.append("verify in \(name): \(verified)") }
            // A site that missed the end of the run may still be fetching its blobs.
            var replayed = try await self.tally("replay", "--format", "json", in: name)
            for _ in 0..<20 where replayed.status != 0 && replayed.output.contains(Self.missing) {
                try await Task.sleep(for: .seconds(1))
                replayed = try await self.tally("replay", "--format", "json", in: name)
            }
            if replayed.status != 0 { faults.append("replay in \(name): \(replayed)") }
            let supply = try await self.report(SupplyReport.self, "supply", in: name)
            if !supply.isWhole {
                faults.append("supply in \(name): \(supply)")
            }
            return faults
        }
        return differing + found.flatMap { $0 }
    }

    /// Waits until patients' consents, granted at a running site, are on every replica.
    package func expectConsents(of patients: [String], grantedAt site: String) async throws {
        for patient in patients {
            // After a kill the sites ask again within seconds; a lost consent never comes.
            try await eventually("\(patient) is on the chain of \(site)") {
                try await tally("consent", "show", patient, "--format", "json", in: site).status
                    == 0
            }
            let known = try await report(ConsentReport.self, "consent", "show", patient, in: site)
            _ = try await together(Self.nodes) { name in
                try await eventually("\(patient) is on the chain of \(name)") {
                    let ended = try await self.tally(
                        "consent", "show", known.patient, "--format", "json", in: name)
                    guard ended.status == 0 else { return false }
                    return try ConsentReport(json: ended.output).intervals.first?.inForce == true
                }
            }
        }
    }
}
