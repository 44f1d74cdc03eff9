import Foundation

/// The reports that a node answers, by the name that `QueryRequest` carries.
package enum ReportName: String, CaseIterable, Sendable {
    case status, balance, statement, supply, score, explain, worklist, rounds, members, data
    case consent, lineage, redemptions
}

/// Why a report is not given; each names what was asked and what to ask instead.
package enum ReportError: Error, Hashable, Sendable, CustomStringConvertible {
    case unknownReport(String)
    case badArgument(report: ReportName, reason: String)
    case notPermitted(asker: String, reason: String)
    case notFound(String)
    /// It needs blocks that this node has not fetched yet.
    case partial(ReportName)
    /// Blocks settled faster than the report could be read, many times in a row.
    case busy

    /// Stable, for the failure of an answer on the wire.
    package var code: String {
        switch self {
        case .unknownReport: "unknownReport"
        case .badArgument: "badArgument"
        case .notPermitted: "notPermitted"
        case .notFound: "notFound"
        case .partial: "partial"
        case .busy: "busy"
        }
    }

    package var description: String {
        switch self {
        case .unknownReport(let name):
            "there is no report \"\(name)\"; there are "
                + ReportName.allCases.map(\.rawValue).joined(separator: ", ")
        case .badArgument(let report, let reason): "report \(report.rawValue): \(reason)"
        case .notPermitted(let asker, let reason): "\(asker) may not ask this: \(reason)"
        case .notFound(let sentence): sentence
        case .partial(let report):
            "this ledger is partial, and a \(report.rawValue) needs its history; ask again when "
                + "`tally status` says that it is complete"
        case .busy: "the ledger changed while the report was read; ask again"
        }
    }
}

/// A value that is written as JSON null when it is absent, so that a report's keys are stable.
@propertyWrapper
package struct OrNull<Value: Codable & Sendable>: Codable, Sendable {
    package var wrappedValue: Value?

    package init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue {
            try container.encode(wrappedValue)
        } else {
            try container.encodeNil()
        }
    }
}

/// A report as scripts read it: keys sorted, slashes as they are.
package func reportJSON(_ report: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return [UInt8](try encoder.encode(report))
}

package func report<Report: Decodable>(_ type: Report.Type, json: [UInt8]) throws -> Report {
    try JSONDecoder().decode(type, from: Data(json))
}

/// Milliseconds since 1970 UTC as `2025-01-31T12:00:00.050Z`.
package func timeText(milliseconds: UInt64) -> String {
    let seconds = Date(timeIntervalSince1970: TimeInterval(milliseconds / 1_000))
    let whole = seconds.formatted(.iso8601.dateSeparator(.dash).timeSeparator(.colon)).dropLast()
    let rest = String(milliseconds % 1_000)
    return "\(whole).\(String(repeating: "0", count: 3 - rest.count))\(rest)Z"
}
