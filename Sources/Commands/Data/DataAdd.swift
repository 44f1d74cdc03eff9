import ArgumentParser
import Contracts
import Cryptography
import Ledger
import Node
import Storage
import Training
import Wire

extension Tally.DataCommand {
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register records of consenting patients, and open their items for readers.",
            discussion: """
                RECORDS.csv has the columns patient,record,use,readers and one for each feature of \
                the study; with boxes or masks also width,height of the image in pixels. record is \
                the site's opaque name for it, use is training or evaluation, readers are names like \
                north-1 separated by spaces. Nothing is sent unless every row is good; a record that \
                is registered already with the same content is passed over, so a command that was \
                cut off is simply run again. The same content under another name is a duplicate \
                and opens no item; in JSON duplicates has their names. Where panels are drawn, the \
                column readers is empty, and whoever is to be asked must be enrolled before.

                Example: tally data add records.csv --home north
                """)

        @Argument(help: "A table of records.", completion: .file(extensions: ["csv"]))
        var file: String
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireSite(for: "registering records")
            let reporter = try reporter(home)
            let agreement = try reporter.store.terms().newest.agreement
            let features = agreement.training.features
            let rule = agreement.annotation
            let isImage = rule.kind.isImage
            let site = try home.member().account
            let table = try CSVTable(
                file: file, columns: recordColumns + (isImage ? sizeColumns : []) + features)
            let rows = try readRecords(
                table, features: features, site: site.name, isImage: isImage)
            let members = try reporter.members().members
            try checkReaders(rows, rule, members: members, site: site)
            let fresh = try unregistered(
                rows, features: features, home: home, registered: reporter.contentTags())
            if !fresh.isEmpty, let warning = try panelWarning(rule, for: site, among: members) {
                printError(warning)
            }
            let report = try await LocalNode.connected(to: home) { node in
                try await checkPatients(fresh, node, reporter)
                let ids = try await node.write(
                    fresh.map { (place: "\($0.place) (\($0.item))", row: $0) },
                    size: { 5 * $0.features.count + 80 * $0.readers.count + 512 }
                ) { request($0, features: features) }
                return try await writeReport(
                    of: ids, places: fresh.map { "\($0.place) (\($0.item))" },
                    wait: !settlement.noWait, via: node.client)
            }
            let repeated =
                report.settled ? duplicates(of: rows.map(\.item), in: try reporter.data()) : []
            try output.show(RecordsWritten(report, duplicates: repeated)) { shown in
                let passed = rows.count - fresh.count
                return [
                    passed > 0 ? "\(passed) registered already" : nil, shown.written.text,
                    duplicatesText(shown.duplicates, of: rows.count),
                ].compactMap { $0 }.joined(separator: "\n")
            }
            guard report.rejected.isEmpty else { throw ExitCode.failure }
        }
    }
}

/// Rows that are not on the ledger yet.
///
/// - Parameters:
///   - rows: of the file.
///   - features: the study's, in order.
///   - home: with the content key.
///   - registered: content tags in hex, by item.
/// - Returns: the rows to send, in order.
/// - Throws: ``InputFault`` for a name that is registered with other content.
func unregistered(
    _ rows: [RecordRow], features: [String], home: Home, registered: [String: String]
) throws -> [RecordRow] {
    let key = try home.contentKey()
    return try rows.filter { row in
        guard let tag = registered[row.item.text] else { return true }
        let content = try canonicalRecord(
            features: zip(features, row.features).map { (name: $0, value: $1) })
        guard hmacSHA256(key: key, content).hex == tag else {
            throw InputFault(
                file: row.place, line: nil,
                reason: "\(row.item) is registered with other content, and a record never "
                    + "changes; register it under a new name")
        }
        return false
    }
}

/// Every patient must have a consent in force for the use of each record.
private func checkPatients(
    _ rows: [RecordRow], _ node: LocalNode, _ reporter: Reporter
) async throws {
    var purposes: [String: Set<String>] = [:]
    for row in rows {
        if purposes[row.patient] == nil {
            do {
                let pseudonym = try await node.pseudonym(of: row.patient)
                purposes[row.patient] = try reporter.consentedPurposes(of: pseudonym)
            } catch let failure as RemoteFailure {
                throw InputFault(
                    file: row.place, line: nil,
                    reason: "\(failure.message); grant consent first with `tally consent grant`")
            }
        }
        guard purposes[row.patient]?.contains(row.use) == true else {
            throw InputFault(
                file: row.place, line: nil,
                reason: "its patient's consent in force does not cover \(row.use); grant it first "
                    + "with `tally consent grant`. Nothing was sent")
        }
    }
}

private func request(_ rows: [RecordRow], features: [String]) -> WireRequest {
    var request = WireRequest()
    request.records.features = features
    request.records.records = rows.map { row in
        var record = WireLocalRecord()
        record.patient = row.patient
        record.record = row.name
        record.use = row.use
        record.readers = row.readers.map(\.text)
        record.features = row.features
        record.width = row.size?.width ?? 0
        record.height = row.size?.height ?? 0
        return record
    }
    return request
}
