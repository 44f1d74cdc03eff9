package import Contracts

/// A file of labels by numbers: items, annotators and classes in their natural order.
package struct LabelTable: Sendable {
    /// What a confusion table of everybody may take: 2²⁶ cells are half a gigabyte.
    private static let cellLimit = 1 << 26

    package let file: String
    package let items: [String]
    package let annotators: [String]
    package let classes: [String]
    package let answers: [IndexedAnswer]
    private let itemNumbers: [String: Int32]

    /// Reads `item,annotator,label`, in any order of columns.
    ///
    /// `task` and `worker`, `reader` or `rater` are the same columns by other names. With a column
    /// `replicate` an annotator may answer an item more than once.
    ///
    /// - Parameters:
    ///   - bytes: of the file.
    ///   - file: its name, for refusals.
    ///   - scale: the classes in their order; without them, those that stand in the file, of which
    ///     NaN is none among numbers.
    ///   - isOrdinal: whether labels are grades, whole numbers that may be skipped.
    /// - Throws: ``InputFault`` with line and reason.
    package init(
        bytes: [UInt8], file: String, scale: [String]? = nil, isOrdinal: Bool
    ) throws {
        var rows = try LabelRows(bytes: bytes, file: file)
        try rows.read()
        if scale == nil { try rows.checkNumbers() }
        let classes = try scale ?? rows.labels.scale(isOrdinal: isOrdinal, file: file)
        guard (2...255).contains(classes.count) else {
            throw InputFault(
                file: file, line: nil,
                reason: "has \(classes.count) classes instead of 2 to 255; name them all with "
                    + "--classes")
        }
        let (cells, isTooMany) = rows.annotators.count.multipliedReportingOverflow(
            by: classes.count * classes.count)
        guard !isTooMany, cells <= Self.cellLimit else {
            throw InputFault(
                file: file, line: nil,
                reason: "has too many annotators times classes squared (\(cells)) for this "
                    + "machine's memory; merge classes")
        }
        self.file = file
        self.classes = classes
        let items = rows.items.inOrder()
        let annotators = rows.annotators.inOrder()
        self.items = items.names
        self.annotators = annotators.names
        let labels = try rows.places(of: classes)
        answers = rows.answers.map { answer in
            IndexedAnswer(
                item: items.places[Int(answer.item)],
                annotator: annotators.places[Int(answer.annotator)],
                answer: labels[Int(answer.answer)])
        }
        itemNumbers = Dictionary(
            zip(items.names, Int32(0)...), uniquingKeysWith: { first, _ in first })
    }

    package func number(ofItem name: String) -> Int32? { itemNumbers[name] }
}

extension NameIndex {
    /// The names in natural order, and each number's place in it.
    fileprivate func inOrder() -> (names: [String], places: [Int32]) {
        let names = (0..<count).map(text)
        let order = naturalOrder(names)
        var places = [Int32](repeating: 0, count: count)
        for (place, number) in order.enumerated() {
            places[number] = Int32(truncatingIfNeeded: place)
        }
        return (order.map { names[$0] }, places)
    }

    /// The classes that stand in a file; grades with those that nobody gave between them.
    fileprivate func scale(isOrdinal: Bool, file: String) throws -> [String] {
        let names = inOrder().names
        guard isOrdinal else { return names }
        let grades = names.compactMap(wholeNumber)
        guard grades.count == names.count, let low = grades.min(), let high = grades.max(),
            high.subtractingReportingOverflow(low).partialValue < 255, high >= low,
            !high.subtractingReportingOverflow(low).overflow
        else {
            throw InputFault(
                file: file, line: nil,
                reason: "has labels that are not grades: with --rule ordinal they must be whole "
                    + "numbers no more than 254 apart; or name them in order with --classes")
        }
        return (low...high).map(String.init)
    }
}

/// The rows of a label file as they stand there, by numbers in order of appearance.
private struct LabelRows {
    var items = NameIndex()
    var annotators = NameIndex()
    var labels = NameIndex()
    private(set) var answers: [IndexedAnswer] = []
    private var replicates: [Int32] = []
    private var table: FlatCSV
    private let columns: (item: Int, annotator: Int, label: Int, replicate: Int?)

    init(bytes: [UInt8], file: String) throws {
        table = try FlatCSV(bytes: bytes, file: file)
        columns = try Self.columns(of: &table)
        answers.reserveCapacity(bytes.count / 16)
    }

    private static func columns(
        of table: inout FlatCSV
    ) throws -> (item: Int, annotator: Int, label: Int, replicate: Int?) {
        _ = try table.next()
        let header = try HeaderColumns(
            table,
            kinds: [
                ("item", ["item", "task"]),
                ("annotator", ["annotator", "worker", "reader", "rater"]),
                ("label", ["label"]),
            ],
            optional: [("replicate", ["replicate"])])
        return (header[0], header[1], header[2], header.optional(0))
    }

    mutating func read() throws {
        var names = NameIndex()
        while try table.next() {
            try checkFields(table, count: columns.replicate == nil ? 3 : 4)
            guard answers.count < 1 << 30 else { throw table.fault("is one row too many") }
            answers.append(
                IndexedAnswer(
                    item: table.withField(columns.item) { items.number(of: $0) },
                    annotator: table.withField(columns.annotator) { annotators.number(of: $0) },
                    answer: table.withField(columns.label) { labels.number(of: $0) }))
            if let column = columns.replicate {
                replicates.append(table.withField(column) { names.number(of: $0) })
            }
        }
        guard !answers.isEmpty else {
            throw InputFault(file: table.file, line: nil, reason: "has a header and no rows")
        }
        try checkRepeats()
    }

    /// Refuses two labels of one annotator for one item: one of them must be a mistake.
    private func checkRepeats() throws {
        var starts = [Int32](repeating: 0, count: items.count + 1)
        for answer in answers { starts[Int(answer.item) + 1] += 1 }
        for item in 0..<items.count { starts[item + 1] += starts[item] }
        var free = starts
        var rows = [Int32](repeating: 0, count: answers.count)
        for (row, answer) in answers.enumerated() {
            rows[Int(free[Int(answer.item)])] = Int32(truncatingIfNeeded: row)
            free[Int(answer.item)] += 1
        }
        var fault: (first: Int, again: Int)?
        for item in 0..<items.count {
            let own = rows[Int(starts[item])..<Int(starts[item + 1])].sorted { key($0) < key($1) }
            for (one, other) in zip(own, own.dropFirst())
            where key(one).0 == key(other).0 && key(one).1 == key(other).1 {
                if Int(other) < fault?.again ?? .max { fault = (Int(one), Int(other)) }
            }
        }
        guard let fault else { return }
        let answer = answers[fault.again]
        throw InputFault(
            file: table.file, line: fault.again + 2,
            reason: "\(annotators.text(Int(answer.annotator))) labelled "
                + "\(items.text(Int(answer.item))) in line \(fault.first + 2) already; delete one, "
                + "or number them in a column replicate")
    }

    /// Refuses what a program writes for no number, where all other labels are numbers: nobody meant
    /// it as a class.
    func checkNumbers() throws {
        let values = (0..<labels.count).map { Double(labels.text($0)) }
        let isNoNumber = values.map { $0?.isFinite == false }
        guard !values.contains(nil), isNoNumber.contains(false),
            let row = answers.firstIndex(where: { isNoNumber[Int($0.answer)] })
        else { return }
        throw InputFault(
            file: table.file, line: row + 2,
            reason: "the label \"\(labels.text(Int(answers[row].answer)))\" is no number, and all "
                + "other labels are; delete the row, or name it as a class with --classes")
    }

    private func key(_ row: Int32) -> (Int32, Int32, Int32) {
        let place = Int(row)
        return (
            answers[place].annotator, replicates.indices.contains(place) ? replicates[place] : 0,
            row
        )
    }

    /// Each label's place among the classes.
    func places(of classes: [String]) throws -> [Int32] {
        let known = Dictionary(zip(classes, Int32(0)...), uniquingKeysWith: { first, _ in first })
        let places = (0..<labels.count).map { known[labels.text($0)] ?? -1 }
        if let row = answers.firstIndex(where: { places[Int($0.answer)] < 0 }) {
            throw InputFault(
                file: table.file, line: row + 2,
                reason: "the label \"\(labels.text(Int(answers[row].answer)))\" is none of the "
                    + "classes " + classes.prefix(20).joined(separator: ","))
        }
        return places
    }
}
