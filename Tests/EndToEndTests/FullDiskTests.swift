import Deployments
import Foundation
import Processes
import Testing

extension EndToEnd {
    /// A file-size limit stands for the full disk: mounting one is not allowed everywhere.
    @Suite("A full disk")
    struct FullDisk {
        @Test("a site stops with one sentence, the others go on, and it catches up later")
        func site() async throws {
            try await withDeployment(.annotated) { deployment in
                let limit = try deployment.ledgerSize(of: "west")
                for name in ["hub", "north", "east"] { try await deployment.start(name) }
                try await deployment.start("west", fileLimit: limit)
                let consents = try await deployment.grantUntilFull("west", at: "north")
                try await deployment.expectFullDisk("west")
                // Three of four voters are a quorum.
                let more = try await deployment.report(
                    WriteReport.self, "consent", "grant", "--patient", "after", "--purposes",
                    "training", in: "east")
                #expect(more.applied == 1)
                let behind = try await deployment.status(of: "west")
                #expect(behind.running == false && behind.settledHeight < more.settledHeight)
                try await deployment.start("west")
                try await deployment.expectConsents(of: consents, grantedAt: "north")
                try await deployment.expectConsents(of: ["after"], grantedAt: "east")
                try await deployment.checkAll()
            }
        }

        @Test("the coordinator stops with one sentence and loses nothing that it acknowledged")
        func coordinator() async throws {
            try await withDeployment(.annotated) { deployment in
                let limit = try deployment.ledgerSize(of: "hub")
                for name in Deployment.sites { try await deployment.start(name) }
                try await deployment.start("hub", fileLimit: limit)
                let consents = try await deployment.grantUntilFull("hub", at: "north")
                try await deployment.expectFullDisk("hub")
                try await deployment.start("hub")
                #expect(!consents.isEmpty)
                try await deployment.expectConsents(of: consents, grantedAt: "north")
                try await deployment.checkAll()
            }
        }

        @Test("patients that a site cannot keep are refused whole, and taken after a restart")
        func patients() async throws {
            try await withDeployment(.annotated) { deployment in
                let limit = try deployment.ledgerSize(of: "north")
                for name in ["hub", "east", "west"] { try await deployment.start(name) }
                try await deployment.start("north", fileLimit: limit)
                // Names so long that one request fills the file before anything is sent.
                let tail = String(repeating: "x", count: 240)
                let rows = (0..<1_000).map { "\($0)-\(tail),training,earn\n" }
                let table = try deployment.file(
                    "many.csv", "patient,purposes,reward\n" + rows.joined())
                let before = try await deployment.status(of: "hub").transactions
                let refused = try await deployment.tally("consent", "grant", table, in: "north")
                let file = "\(deployment.home("north"))/patients.sqlite"
                #expect(refused.status == 1)
                #expect(refused.sentences.count == 1, "\(refused)")
                #expect(refused.errors.contains("\(file) cannot be written"), "\(refused)")
                #expect(refused.errors.contains("nothing was sent"), "\(refused)")
                try await deployment.expectFullDisk("north", file: "patients.sqlite")
                #expect(try await deployment.status(of: "hub").transactions == before)
                try await deployment.start("north")
                let report = try await deployment.report(
                    WriteReport.self, "consent", "grant", table, in: "north")
                #expect(report.applied == rows.count)
                try await deployment.checkAll()
            }
        }

        @Test("a command that cannot write its file names it and leaves none behind")
        func command() async throws {
            try await withDeployment(.trained) { deployment in
                let file = "\(deployment.folder)/none/model.safetensors"
                let ended = try await deployment.tally(
                    "model", "export", "--final", "--out", file, in: "north")
                #expect(ended.status == 1)
                #expect(ended.sentences.count == 1 && ended.errors.contains(file), "\(ended)")
                #expect(!FileManager.default.fileExists(atPath: file))
            }
        }
    }
}

extension Deployment {
    fileprivate func ledgerSize(of name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(
            atPath: "\(home(name))/ledger.sqlite")
        return try #require(attributes[.size] as? NSNumber).intValue
    }

    /// Lets new patients consent until the worker of a node has ended by itself.
    ///
    /// - Returns: those whose consent was acknowledged.
    fileprivate func grantUntilFull(_ name: String, at site: String) async throws -> [String] {
        let process = try service(name)
        var acknowledged: [String] = []
        for number in 0..<200 where process.isRunning {
            let patient = "new-\(number)"
            let command = try begin(
                ["consent", "grant", "--patient", patient, "--purposes", "training", "--no-wait"],
                in: site)
            // Nobody answers once the coordinator is gone: no need to wait for that.
            while command.isRunning, process.isRunning {
                try await Task.sleep(for: .milliseconds(5))
            }
            guard process.isRunning || !command.isRunning else {
                try command.killNow()
                break
            }
            if try await command.ended().status == 0 { acknowledged.append(patient) }
        }
        return acknowledged
    }

    /// Expects that a worker has ended with 1 and one sentence that helps.
    fileprivate func expectFullDisk(
        _ name: String, file: String = "ledger.sqlite"
    ) async throws {
        let ended = try await service(name).ended(within: .seconds(20))
        #expect(ended.status == 1, "\(ended)")
        #expect(ended.sentences.count == 1, "\(ended)")
        let sentence = ended.sentences.first ?? ""
        #expect(sentence.contains("\(home(name))/\(file) cannot be written"), "\(sentence)")
        #expect(sentence.contains("make room") && sentence.contains("start again"), "\(sentence)")
    }
}
