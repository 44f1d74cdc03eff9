import Deployments
import Foundation
import Testing

extension EndToEnd {
    @Suite("Withdrawal")
    struct Withdrawal {
        @Test("a patient who withdraws between rounds is in no later manifest")
        func betweenRounds() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let patient = Study.patient(1)
                // Both of the patient's records are approved, and of a grade that is trained on.
                let names = Study.records(of: "north").filter { $0.patient == 1 }
                    .map { "north/\($0.name)" }
                try await deployment.done(
                    ["run", "start", "--rounds", "6"], in: Deployment.coordinator)
                try await eventually("the first round is closed") {
                    try await deployment.rounds(in: "north")?.closed ?? 0 >= 1
                }
                let withdrawn = try await deployment.report(
                    WriteReport.self, "consent", "withdraw", "--patient", patient, "--purposes",
                    "training", in: "north")
                let run = try await deployment.runFinished(in: "north")
                try await deployment.checkAll()

                // Verified counts of the site, before and after; a round in between may be either.
                var counts: [Bool: Set<Int>] = [:]
                var previousClose: UInt64 = 0
                for round in run.rounds {
                    let isEarlier = round.closedHeight < withdrawn.settledHeight
                    let isLater = previousClose > withdrawn.settledHeight
                    previousClose = round.closedHeight
                    guard isLater || isEarlier else { continue }
                    let entry = try #require(round.rollCall.first { $0.site == "site/north" })
                    counts[isLater, default: []].insert(entry.verified)
                    let manifest = try await deployment.manifest(of: "site/north", round.model)
                    #expect(manifest.names("north/r0"))
                    for name in names {
                        #expect(manifest.names(name) == isEarlier, "\(name), round \(round.round)")
                    }
                }
                let earlier = try #require(counts[false]?.first)
                #expect(counts == [false: [earlier], true: [earlier - names.count]])
                let report = try await deployment.report(
                    ConsentReport.self, "consent", "show", patient, in: "north")
                #expect(report.rounds.allSatisfy { $0.records == names.count })
                #expect(report.rounds.count < run.rounds.count && !report.rounds.isEmpty)
            }
        }
    }
}

extension Deployment {
    /// The blob that names what a site trained on for a model.
    fileprivate func manifest(of site: String, _ model: String) async throws -> Data {
        let lineage = try await report(LineageReport.self, "lineage", model, in: "north")
        let update = try #require(lineage.updates.first { $0.site == site })
        return try Data(
            contentsOf: URL(filePath: "\(home("north"))/blobs/\(update.manifest)"))
    }
}

extension Data {
    /// Whether a record's name stands in these bytes, and is no other name's beginning.
    fileprivate func names(_ record: String) -> Bool {
        let name = Data(record.utf8)
        var start = startIndex
        while let found = range(of: name, in: start..<endIndex) {
            let next = found.upperBound
            if next == endIndex || !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self[next]) {
                return true
            }
            start = next
        }
        return false
    }
}
