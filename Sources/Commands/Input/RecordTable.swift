package import Contracts
package import Ledger

/// A record as its hospital prepared it.
package struct RecordRow {
    package let line: Int
    package let place: String
    package let patient: String
    package let item: ItemID
    package let use: String
    /// Annotator accounts, ascending.
    package let readers: [AccountID]
    /// In the study's order.
    package let features: [Float]
    /// Of the image, in a study of boxes or masks.
    package let size: ImageSize?

    package var name: String { String(item.text.drop { $0 != "/" }.dropFirst()) }
}

/// The columns beside the study's features.
package let recordColumns = ["patient", "record", "use", "readers"]

/// The columns of an image's size, in a study of boxes or masks.
package let sizeColumns = ["width", "height"]

/// Reads records; readers are names such as `north-1`, separated by spaces.
///
/// - Parameters:
///   - table: with ``recordColumns`` and a column for each feature.
///   - features: the study's, in order.
///   - site: the name of the site that registers them.
///   - isImage: whether the study needs each image's size, in ``sizeColumns``.
/// - Returns: a row each, in the order of the file.
/// - Throws: ``InputFault`` for the first row that cannot be registered.
package func readRecords(
    _ table: CSVTable, features: [String], site: String, isImage: Bool = false
) throws -> [RecordRow] {
    var lines: [String: Int] = [:]
    return try table.rows.map { row in
        let name = row["record"]
        guard let item = ItemID("\(site)/\(name)") else {
            throw row.fault(
                "record must be 1 to 64 characters of a-z 0-9 . _ -, not \"\(name)\"")
        }
        if let first = lines.updateValue(row.line, forKey: name) {
            throw row.fault("the record \(name) of line \(first) stands here again")
        }
        guard isPatientID(row["patient"]) else {
            throw row.fault("patient must have 1 to 256 bytes")
        }
        guard ["training", "evaluation"].contains(row["use"]) else {
            throw row.fault("use must be training or evaluation, not \"\(row["use"])\"")
        }
        return RecordRow(
            line: row.line, place: row.place, patient: row["patient"], item: item,
            use: row["use"], readers: try readers(row),
            features: try features.map { try feature(row, $0) },
            size: isImage ? try imageSize(row) : nil)
    }
}

private func imageSize(_ row: CSVRow) throws -> ImageSize {
    guard let width = UInt32(row["width"]), let height = UInt32(row["height"]),
        let size = ImageSize(width: width, height: height)
    else {
        throw row.fault(
            "width and height must be whole numbers of pixels from 1 to "
                + "\(ImageSize.longestSide), not \"\(row["width"])\" and \"\(row["height"])\"")
    }
    return size
}

private func readers(_ row: CSVRow) throws -> [AccountID] {
    let names = row["readers"].split(separator: " ").map(String.init)
    let readers = try names.map { name in
        guard isIdentifier(name.utf8) else {
            throw row.fault(
                "\"\(name)\" is no reader's name; name readers like north-1, separated by spaces")
        }
        return AccountID(.annotator, name)
    }
    guard Set(readers).count == readers.count else { throw row.fault("a reader stands twice") }
    guard readers.count <= 64 else { throw row.fault("names more than 64 readers") }
    return readers.sorted()
}

private func feature(_ row: CSVRow, _ name: String) throws -> Float {
    let text = row[name]
    guard !text.isEmpty else { throw row.fault("\(name) is empty") }
    let isPlain = text.utf8.allSatisfy { "0123456789.+-eE".utf8.contains($0) }
    guard isPlain, let value = Float(text) else {
        throw row.fault("\(name) must be a decimal number, not \"\(text)\"")
    }
    guard value.isFinite else {
        throw row.fault("\(name) is beyond the range of a 32-bit number: \(text)")
    }
    return value
}
