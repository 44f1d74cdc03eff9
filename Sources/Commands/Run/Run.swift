import ArgumentParser
import Node
import Wire

extension Tally {
    struct RunCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Start or stop a training run, at the coordinator.",
            subcommands: [Start.self, Stop.self])
    }
}

/// Sends one request of a run to the coordinator's worker and waits until it is settled.
func sendRun(_ request: WireRequest, home: Home, wait: Bool) async throws -> WriteReport {
    try home.requireNode(for: "starting and stopping runs")
    return try await LocalNode.connected(to: home) { node in
        let ids = try await node.write(request)
        let report = try await writeReport(of: ids, places: [], wait: wait, via: node.client)
        guard report.applied + report.rejected.count > 0 || !wait else {
            throw CommandFault("the worker sent nothing; see `tally status`")
        }
        return report
    }
}
