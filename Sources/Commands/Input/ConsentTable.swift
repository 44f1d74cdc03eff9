import Wire

/// A patient's consent as a site writes it down.
package struct ConsentRow {
    package let place: String
    package let patient: String
    package let purposes: [String]
    package let waivesReward: Bool
}

/// What a consent can cover, in the order of the chain.
let purposeNames = ["training", "evaluation", "sharing", "commercial"]

/// Reads purposes separated by spaces or commas.
///
/// - Returns: each once, in the chain's order.
/// - Throws: ``CommandFault`` for none, an unknown one, or one named twice.
package func readPurposes(_ text: String) throws(CommandFault) -> [String] {
    let names = text.split(whereSeparator: { $0 == " " || $0 == "," }).map(String.init)
    guard !names.isEmpty else {
        throw CommandFault("no purpose is named; there are \(purposeNames.joined(separator: ", "))")
    }
    for name in names {
        guard purposeNames.contains(name) else {
            throw CommandFault(
                "\"\(name)\" is no purpose; there are \(purposeNames.joined(separator: ", "))")
        }
        guard names.count(where: { $0 == name }) == 1 else {
            throw CommandFault("the purpose \(name) is named twice")
        }
    }
    return purposeNames.filter(names.contains)
}

/// Whether a site's own identifier can be kept: something, of at most 256 bytes.
func isPatientID(_ text: String) -> Bool { (1...256).contains(text.utf8.count) }

/// Reads grants: columns patient, purposes, reward (`earn` or `waive`).
package func readGrants(_ table: CSVTable) throws -> [ConsentRow] {
    try consents(table) { row in
        switch row["reward"] {
        case "earn": false
        case "waive": true
        default: throw row.fault("reward must be earn or waive, not \"\(row["reward"])\"")
        }
    }
}

/// Reads withdrawals: columns patient, purposes.
package func readWithdrawals(_ table: CSVTable) throws -> [ConsentRow] {
    try consents(table) { _ in false }
}

private func consents(
    _ table: CSVTable, waives: (CSVRow) throws -> Bool
) throws -> [ConsentRow] {
    var lines: [String: Int] = [:]
    return try table.rows.map { row in
        let patient = row["patient"]
        guard isPatientID(patient) else {
            throw row.fault("patient must have 1 to 256 bytes")
        }
        if let first = lines.updateValue(row.line, forKey: patient) {
            throw row.fault("the patient of line \(first) stands here again")
        }
        let purposes: [String]
        do {
            purposes = try readPurposes(row["purposes"])
        } catch let fault as CommandFault { throw row.fault(fault.description) }
        return ConsentRow(
            place: row.place, patient: patient, purposes: purposes,
            waivesReward: try waives(row))
    }
}
