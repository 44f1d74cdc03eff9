import Foundation
package import Glibc
import Processes
import TestSupport

/// The synthetic study: patients with two records each, read by three readers a site.
package enum Study {
    package static let features = ["width", "height", "noise"]
    package static let patients = 12
    /// From this patient on, records are held out.
    package static let firstHeldOut = 9
    package static let readers = 3

    package static func patient(_ index: Int) -> String { "patient-\(index)" }

    package static func reader(_ number: Int, of site: String) -> String { "\(site)-\(number)" }

    package struct Record {
        package let name: String
        package let patient: Int
        package let features: [Float]
        /// One for each reader.
        package let grades: [Int]
    }

    /// A site's records, the same in every run of the tests.
    ///
    /// The grade follows from two of the features; every eleventh record is disputed, every
    /// seventh of a grade that is not trained on.
    package static func records(of site: String) -> [Record] {
        var random = SplitMix64(seed: UInt64(site.utf8.reduce(0) { $0 &* 31 &+ Int($1) }))
        return (0..<patients * 2).map { index in
            let values = features.map { _ in Float.random(in: -1...1, using: &random) }
            let sum = values[0] + values[1] / 2
            let grade = sum > 0.4 ? 5 : sum > 0 ? 4 : sum > -0.4 ? 2 : 1
            let neighbour = grade == 5 ? 4 : grade == 1 ? 2 : grade + (grade == 4 ? 1 : -1)
            let grades =
                index % 11 == 10
                ? [1, 3, 5] : index % 7 == 6 ? [3, 3, 3] : [grade, grade, neighbour]
            return Record(
                name: "r\(index)", patient: index / 2, features: values, grades: grades)
        }
    }

    package static func consentTable() -> String {
        "patient,purposes,reward\n"
            + (0..<patients).map { index in
                "\(patient(index)),training evaluation,\(index == 0 ? "waive" : "earn")\n"
            }.joined()
    }

    package static func recordTable(of site: String) -> String {
        let readers = (1...readers).map { reader($0, of: site) }.joined(separator: " ")
        let rows = records(of: site).map { record in
            "\(patient(record.patient)),\(record.name),"
                + "\(record.patient < firstHeldOut ? "training" : "evaluation"),\(readers),"
                + record.features.map { "\($0)" }.joined(separator: ",") + "\n"
        }
        return "patient,record,use,readers,\(features.joined(separator: ","))\n" + rows.joined()
    }

    package static func answerTable(of site: String, reader: Int) -> String {
        "item,answer\n"
            + records(of: site).map { "\(site)/\($0.name),\($0.grades[reader - 1])\n" }.joined()
    }

    /// Blocks of 50 ms; a round waits for half an hour, so that a site that is killed again and again
    /// still takes part.
    package static let agreement = """
        study: synthetic
        chain:
          blockInterval: 50
          majorityQuorum: false
          checkpointInterval: 100
          inclusionPromise: 8
        annotation:
          rule: annotation/1
          answer: ordinal
          classes: 5
          panel: own-site
          commitWindow: 6000
          revealWindow: 6000
          minimumAnswers: 3
          nearShare: "2/3"
          nearDistance: 1
          maximumSpread: 2
          periodItems: 100000
        training:
          trainer: logistic-regression
          features: [\(features.joined(separator: ", "))]
          positiveAbove: 3
          negativeBelow: 3
          rounds: 20
          localSteps: 5
          learningRate: "0.2"
          l2: "0"
          seed: 1
          normBound: "100"
          roundDeadline: 36000
          aggregation: fedavg
          utility: concordance
        rewards:
          supply: "1000000"
          roundPool: "1000"
          split: {patients: 4000, annotators: 3000, sites: 1500, developers: 1500}
          developers:
            - account: developer/model-team
              weight: 1
          warmUpRounds: 1
          appealWindow: 20
          stake: "10"
          treasurer: treasurer/office
          parentShare: 2000

        """
}

extension Deployment {
    package static var readers: [(site: String, reader: Int)] {
        sites.flatMap { site in (1...Study.readers).map { (site, $0) } }
    }

    /// Makes all keys, founds the network and lets everybody join; no process is left running.
    package func found(_ text: String = Study.agreement) async throws {
        try FileManager.default.createDirectory(
            atPath: "\(folder)/logs", withIntermediateDirectories: true)
        let port = try freePorts(2 + Self.sites.count)
        func newKey(_ name: String, _ role: String, _ more: [String] = []) async throws {
            try await done(["key", "new", "--name", name, "--role", role] + more, in: name)
        }
        try await newKey(Self.coordinator, "coordinator", ["--endpoint", endpoint(port)])
        try await newKey("model-team", "developer")
        try await done(["key", "new", "--name", "office", "--role", "treasurer"], in: "treasurer")
        for (index, site) in Self.sites.enumerated() {
            try await newKey(site, "site", ["--endpoint", endpoint(port + 2 + index)])
        }
        let members =
            (Self.sites + ["model-team"]).flatMap { ["--member", "\(home($0))/\($0).member"] }
            + ["--member", "\(home("treasurer"))/office.member"]
        let agreement = try file("agreement.yaml", text)
        try await done(["network", "init", agreement] + members, in: Self.coordinator)
        try await done(["network", "join", genesis, "--site", "site/north"], in: "treasurer")
        for site in Self.sites {
            try await done(
                ["network", "join", genesis, "--content-key", "\(home("hub"))/keys/content.key"],
                in: site)
            for reader in 1...Study.readers {
                try await newMember(Study.reader(reader, of: site), asking: "site/\(site)")
            }
        }
    }

    package var genesis: String { "\(home(Self.coordinator))/genesis.tally" }

    private func endpoint(_ port: Int) -> String { "tcp://127.0.0.1:\(port)" }

    /// A reader's home with keys of its own; enrolling the reader is another matter.
    package func newMember(_ name: String, asking node: String) async throws {
        try await done(["key", "new", "--name", name, "--role", "annotator"], in: name)
        try await done(["network", "join", genesis, "--site", node], in: name)
    }

    /// Enrols the readers, lets the patients consent, and registers the records.
    package func register() async throws {
        let consents = try file("patients.csv", Study.consentTable())
        _ = try await together(Self.sites) { site in
            let documents = (1...Study.readers).map { number in
                let name = Study.reader(number, of: site)
                return "\(self.home(name))/\(name).member"
            }
            try await self.done(["member", "add"] + documents, in: site)
            try await self.done(["consent", "grant", consents], in: site)
            let records = try self.file("\(site).csv", Study.recordTable(of: site))
            try await self.done(["data", "add", records], in: site)
        }
    }

    /// The file of one reader's answers.
    package func answers(of site: String, reader: Int) throws -> String {
        try file(
            "\(Study.reader(reader, of: site)).csv", Study.answerTable(of: site, reader: reader))
    }

    /// All readers commit and reveal side by side, some of them perhaps again.
    @discardableResult
    package func annotate() async throws -> [AnnotateReport] {
        try await withThrowingTaskGroup(of: AnnotateReport.self) { group in
            for (site, reader) in Self.readers {
                group.addTask {
                    try await self.report(
                        AnnotateReport.self, "annotate",
                        try self.answers(of: site, reader: reader),
                        in: Study.reader(reader, of: site))
                }
            }
            var reports: [AnnotateReport] = []
            for try await report in group { reports.append(report) }
            return reports
        }
    }
}

/// The first of so many free ports in a row, below those that the system hands out by itself.
package func freePorts(_ count: Int) throws -> Int {
    for _ in 0..<200 {
        let first = Int.random(in: 20_000..<32_000)
        if (first..<first + count).allSatisfy(isFree) { return first }
    }
    throw Unexpected(description: "no \(count) free ports in a row on 127.0.0.1")
}

private func isFree(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = loopback(port)
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}

/// 127.0.0.1 with a port.
package func loopback(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    return address
}
