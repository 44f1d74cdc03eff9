/// Where the columns of a table stand, by any of the names that people give them.
struct HeaderColumns {
    private let places: [Int]
    private let optionalPlaces: [Int?]

    /// - Parameters:
    ///   - table: whose header was read last.
    ///   - kinds: the columns that must be there: a word for refusals, and their names.
    ///   - optional: the columns that may be there.
    /// - Throws: ``InputFault`` for a column that is missing, unknown or there twice.
    init(
        _ table: FlatCSV, kinds: [(word: String, names: [String])],
        optional: [(word: String, names: [String])] = []
    ) throws {
        let header = (0..<table.fieldCount).map(table.text)
        func place(_ names: [String]) throws -> Int? {
            let found = header.indices.filter { names.contains(header[$0]) }
            guard found.count < 2 else {
                throw table.fault(
                    "the column \"\(header[found[1]])\" stands twice; it must have "
                        + kinds.map(\.word).joined(separator: ","))
            }
            return found.first
        }
        places = try kinds.map { kind in
            guard let place = try place(kind.names) else {
                throw table.fault(
                    "the column \"\(kind.word)\" is missing; it must have "
                        + kinds.map(\.word).joined(separator: ","))
            }
            return place
        }
        optionalPlaces = try optional.map { try place($0.names) }
        let known = (kinds + optional).flatMap(\.names)
        if let unknown = header.first(where: { !known.contains($0) }) {
            throw table.fault(
                "the column \"\(unknown)\" is not known here; it must have "
                    + kinds.map(\.word).joined(separator: ","))
        }
    }

    subscript(kind: Int) -> Int { places[kind] }

    func optional(_ kind: Int) -> Int? { optionalPlaces[kind] }
}

/// Refuses a row with fields too many or too few, empty, or with a space around them.
func checkFields(_ table: FlatCSV, count: Int) throws {
    guard table.fieldCount == count else {
        throw table.fault("has \(table.fieldCount) fields instead of \(count)")
    }
    for column in 0..<count {
        let fault: String? = table.withField(column) { bytes in
            guard let first = bytes.first, let last = bytes.last else { return "is empty" }
            guard first != UInt8(ascii: " "), last != UInt8(ascii: " ") else {
                return "begins or ends with a space; delete the space"
            }
            return bytes.count > 1_000 ? "is longer than 1000 bytes" : nil
        }
        if let fault { throw table.fault("field \(column + 1) \(fault)") }
    }
}
