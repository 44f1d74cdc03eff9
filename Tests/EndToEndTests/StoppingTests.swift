import Deployments
import Foundation
import Processes
import Testing

extension EndToEnd {
    @Suite("Starting and stopping")
    struct Stopping {
        private static let patience = Duration.seconds(10)

        @Test("SIGTERM ends every worker with 0, also in a run, and the run goes on later")
        func duringRun() async throws {
            let expected = try await #require(Prepared.current).undisturbed()
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                try await deployment.done(
                    ["run", "start", "--rounds", "\(Prepared.rounds)"],
                    in: Deployment.coordinator)
                _ = try await together(Deployment.nodes) { name in
                    let ended = try await deployment.stop(name, within: Self.patience)
                    #expect(ended.status == 0 && ended.sentences.isEmpty, "\(name): \(ended)")
                }
                for name in Deployment.nodes {
                    #expect(try await deployment.status(of: name).running == false)
                }
                try await deployment.startAll()
                let report = try await deployment.runFinished(in: "east")
                #expect(report.rounds.map(\.model) == expected.rounds.map(\.model))
            }
        }

        @Test("SIGTERM ends a worker with 0 at the moment when it says that it is up")
        func duringStart() async throws {
            try await withDeployment(.annotated) { deployment in
                for name in ["hub", "north"] {
                    for _ in 0..<5 {
                        let process = try deployment.launch(name)
                        try await eventually("\(name) is up", every: .zero) {
                            process.log.contains(" is up")
                        }
                        process.signal(SIGTERM)
                        let ended = try await process.ended(within: Self.patience)
                        #expect(ended.status == 0 && ended.sentences.isEmpty, "\(name): \(ended)")
                    }
                }
            }
        }

        @Test("SIGTERM ends a site with 0 though its coordinator is down")
        func withoutCoordinator() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.start("north")
                try await deployment.start("hub")
                try await deployment.start("east")
                try deployment.killNow("hub")
                // One of them waits for an answer that will not come.
                let command = try deployment.begin(
                    ["consent", "grant", "--patient", "p", "--purposes", "training"], in: "north")
                try await Task.sleep(for: .milliseconds(300))
                for name in ["north", "east"] {
                    let ended = try await deployment.stop(name, within: Self.patience)
                    #expect(ended.status == 0 && ended.sentences.isEmpty, "\(name): \(ended)")
                }
                try command.killNow()
            }
        }

        @Test("a second worker is refused, and goes when nobody needs it")
        func lock() async throws {
            try await withDeployment(.annotated) { deployment in
                for name in ["hub", "north"] {
                    try await deployment.start(name)
                    let first = try deployment.service(name)
                    let second = try await deployment.launch(name).ended(within: .seconds(20))
                    #expect(second.status == 1)
                    #expect(
                        second.sentences == [
                            "error: a worker is running in \(deployment.home(name)) already; stop "
                                + "it first, or use its commands"
                        ], "\(second)")
                    #expect(try await deployment.status(of: name).running == true)
                    first.signal(SIGTERM)
                    #expect(try await first.ended(within: Self.patience).status == 0)
                }
            }
        }

        @Test("a writing command without a worker says how to start one, and sends nothing")
        func noWorker() async throws {
            try await withDeployment(.annotated) { deployment in
                let commands: [(String, [String], String)] = [
                    (
                        "north", ["consent", "grant", "--patient", "p", "--purposes", "training"],
                        "tally site run"
                    ),
                    ("north", ["consent", "withdraw", "--patient", "patient-1"], "tally site run"),
                    (
                        "north",
                        ["data", "add", try deployment.file("new.csv", Self.newRecord)],
                        "tally site run"
                    ),
                    ("hub", ["run", "start"], "tally coordinator run"),
                    ("hub", ["run", "stop"], "tally coordinator run"),
                ]
                for (name, arguments, remedy) in commands {
                    let ended = try await deployment.begin(arguments, in: name).ended()
                    #expect(ended.status == 1, "\(arguments)")
                    #expect(
                        ended.sentences == [
                            "error: the worker of \(deployment.home(name)) is not running, and only "
                                + "it writes the ledger; start it with `\(remedy) --home "
                                + "\(deployment.home(name))`"
                        ], "\(ended)")
                }
            }
        }

        private static let newRecord =
            "patient,record,use,readers,\(Study.features.joined(separator: ","))\n"
            + "patient-1,new,training,north-1,0.1,0.2,0.3\n"

        private static let wrongLines = [
            ["nonsense"], ["run", "start", "--rounds", "0"], ["run", "start", "--rounds", "x"],
            ["balance", "north"], ["consent", "grant"], ["supply", "--format", "xml"],
            ["annotate"], ["verify", "--height", "3"],
        ]

        @Test("a wrong command line ends with 64")
        func usage() async throws {
            try await withDeployment(.annotated) { deployment in
                for arguments in Self.wrongLines {
                    let ended = try await deployment.begin(arguments, in: "north").ended()
                    #expect(ended.status == 64, "\(ended)")
                    #expect(ended.output.isEmpty && !ended.errors.isEmpty)
                }
            }
        }
    }
}
