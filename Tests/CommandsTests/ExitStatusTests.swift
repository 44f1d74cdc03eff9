import ArgumentParser
import Commands
import Contracts
import Cryptography
import Foundation
import Ledger
import Node
import Storage
import Testing
import Training

@Suite("Exit codes and sentences", .timeLimit(.minutes(2)))
struct ExitStatusTests {
    @Test("0 fine, 1 could not, 2 a finding, 64 a wrong command line")
    func mapping() {
        #expect(Tally.exitStatus(for: CleanExit.helpRequest()) == 0)
        #expect(Tally.exitStatus(for: CommandFault("no")) == 1)
        #expect(Tally.exitStatus(for: StorageError.missing(path: "x")) == 1)
        #expect(Tally.exitStatus(for: CocoaError(.fileWriteOutOfSpace)) == 1)
        #expect(Tally.exitStatus(for: ExitCode(2)) == 2)
        #expect(Tally.exitStatus(for: ValidationError("no")) == 64)
    }

    private static let lines: [([String], Int32)] = [
        (["--version"], 0), (["balance", "--help"], 0), ([], 0), (["nonsense"], 64),
        (["balance", "annotator/x", "--home", "/nonexistent/tally"], 1),
        (["balance", "x", "--home", "/nonexistent/tally"], 64),
        (["balance", "--format", "xml", "--home", "/nonexistent/tally"], 64),
        (["verify", "--home", "/nonexistent/tally"], 1),
        (["member", "add", "--home", "/nonexistent/tally"], 64),
        (["key", "new", "--name", "N", "--role", "site", "--home", "/nonexistent/tally"], 64),
        (["key", "new", "--name", "n", "--role", "coordinator", "--home", "/nonexistent"], 64),
        (["key", "new", "--name", "n", "--role", "king", "--home", "/nonexistent"], 64),
        (["consent", "grant", "--home", "/nonexistent/tally"], 64),
        (["consent", "grant", "--patient", "p", "--home", "/nonexistent/tally"], 64),
        (["consent", "grant", "--patient", "p", "--purposes", "x", "--home", "/nonexistent"], 64),
        (["run", "start", "--rounds", "0", "--home", "/nonexistent/tally"], 64),
        (["model", "export", "--home", "/nonexistent/tally"], 64),
        (["model", "export", "--final", "--home", "/nonexistent/tally"], 64),
        (["model", "export", "--final", "--out", "x", "--home", "/nonexistent/tally"], 1),
        (["site", "run", "--home", "/nonexistent/tally"], 1),
        (["consensus", "score", "/nonexistent/labels.csv"], 1),
        (["consensus", "score", "/nonexistent/labels.csv", "--posterior", "1001"], 64),
        (["consensus", "score", "/nonexistent/labels.csv", "--classes", "a,a"], 64),
        (
            [
                "consensus", "score", "/nonexistent/labels.csv", "--rule", "ordinal",
                "--near-share", "3/2",
            ],
            64
        ),
        (["consensus", "score", "/nonexistent/labels.csv", "--near-distance", "3"], 64),
        (["consensus", "score", "/nonexistent/labels.csv", "--posterior", "900"], 1),
        (
            [
                "consensus", "score", "/nonexistent/labels.csv", "--rule", "ordinal", "--posterior",
                "900",
            ], 64
        ),
        (["simulate", "calm", "--seed", "0"], 0), (["simulate", "calm"], 64),
        (["simulate", "calm", "--seed", "0", "--fault", "credit-lost"], 2),
        (["simulate", "storm", "--seed", "0"], 64),
        (["simulate", "hunt", "calm", "--seeds", "1", "--state", "/nonexistent/hunt"], 1),
        (["simulate", "hunt", "--jobs", "0"], 64), (["simulate", "faults", "--seeds", "0"], 64),
    ]

    @Test("a command line ends as documented", arguments: lines)
    func commandLine(arguments: [String], status: Int32) async {
        #expect(await Tally.run(arguments: arguments) == status)
    }

    private struct Speechless: Error { let secret = 1 }

    @Test("an error is one sentence, never a dump of a Swift value")
    func sentences() {
        let errors: [any Error] = [
            CocoaError(.fileReadNoSuchFile, userInfo: [NSFilePathErrorKey: "/x/y"]),
            CocoaError(.fileWriteOutOfSpace), POSIXError(.ENOSPC), CancellationError(),
            CryptographyError.passphraseNeeded, HomeError.exists(file: "/x"),
            StorageError.missing(path: "/x"), ReportError.busy, Rejection.noConsent,
            TrainingError.diverged, CommandFault("two\nlines"), Speechless(),
        ]
        for error in errors {
            let text = sentence(for: error)
            #expect(!text.isEmpty && !text.contains("\n"), "\(text)")
            #expect(!text.contains("Speechless(") && !text.contains("Error Domain"), "\(text)")
        }
        #expect(sentence(for: errors[0]) == "/x/y is not there; check the path")
        #expect(sentence(for: CryptographyError.passphraseNeeded).contains("TALLY_PASSPHRASE"))
    }

    @Test(
        "an address has host and port, with room for the hints above it",
        arguments: [
            ("tcp://127.0.0.1:7300", true), ("tcp://host.example:1", true),
            ("tcp://[::1]:7300", true), ("tcp://host", false), ("tcp://:7300", false),
            ("host:7300", false), ("tcp://host:65535", false), ("tcp://host:0", false),
            ("tcp://ho st:7300", false), ("ipc://x:1", false),
        ])
    func endpoints(text: String, isGood: Bool) {
        #expect(isEndpoint(text) == isGood)
    }
}
