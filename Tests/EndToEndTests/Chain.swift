import Processes
import Testing

extension Deployment {
    func status(of name: String) async throws -> StatusReport {
        try await report(StatusReport.self, "status", in: name)
    }

    /// Waits until the chain is silent and all nodes have settled the same height.
    ///
    /// - Returns: where they stand, in the order of ``nodes``.
    func atRest() async throws -> [StatusReport] {
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
    func runFinished(in name: String) async throws -> RoundsReport {
        var report: RoundsReport?
        try await eventually("the run ends", within: .seconds(120), every: .milliseconds(100)) {
            report = try await self.rounds(in: name)
            return report?.state == "finished"
        }
        return try #require(report)
    }

    /// The newest run as a node sees it; nil while there is none.
    func rounds(in name: String) async throws -> RoundsReport? {
        let ended = try await tally("rounds", "--format", "json", in: name)
        guard ended.status == 0 else { return nil }
        return try RoundsReport(json: ended.output)
    }

    /// Checks on all nodes that they have one sound chain, whose training replays to the same bits.
    func checkAll(
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let statuses = try await atRest()
        #expect(
            Set(statuses.map(\.settledHash)).count == 1, "one block at the common height",
            sourceLocation: sourceLocation)
        _ = try await together(Self.nodes) { name in
            let verified = try await self.tally("verify", "--format", "json", in: name)
            #expect(
                verified.status == 0, "verify in \(name): \(verified)",
                sourceLocation: sourceLocation)
            let replayed = try await self.tally("replay", "--format", "json", in: name)
            #expect(
                replayed.status == 0, "replay in \(name): \(replayed)",
                sourceLocation: sourceLocation)
            let supply = try await self.report(SupplyReport.self, "supply", in: name)
            #expect(
                supply.balanced && supply.issued == supply.held
                    && supply.issued == "1000000.000000",
                "\(supply)", sourceLocation: sourceLocation)
        }
    }
}
