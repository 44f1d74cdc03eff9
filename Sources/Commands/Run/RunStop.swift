import ArgumentParser
import Node
import Wire

extension Tally.RunCommand {
    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop the run under way; a round that is open may still close.",
            discussion: "Example: tally run stop --home coordinator")

        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            var request = WireRequest()
            request.runStop = WireRunStopRequest()
            try output.finish(
                try await sendRun(
                    request, home: homeOptions.open(), wait: !settlement.noWait))
        }
    }
}
