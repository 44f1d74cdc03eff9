package import Contracts
package import Ledger
package import Wire

/// What a file of answers is read for.
package struct AnswerSource: Sendable {
    package let file: String
    /// The kind of answer, its classes and their names.
    package let rule: WireAnnotationRule
    /// Whose column of a wide table, or whose annotations of several people's, was asked for.
    package let annotator: String?
    /// Whose column of a wide table is read when nobody was asked for.
    package let reader: String?
    /// Which of several questions of the same kind is meant, by its `from_name`.
    package let control: String?

    package init(
        file: String, rule: WireAnnotationRule, annotator: String? = nil, reader: String? = nil,
        control: String? = nil
    ) {
        self.file = file
        self.rule = rule
        self.annotator = annotator
        self.reader = reader
        self.control = control
    }

    func fault(_ place: String, _ reason: String) -> InputFault {
        InputFault(file: file, line: nil, reason: "\(place): \(reason)")
    }

    /// Refuses an option that was given and says nothing of such a file: whoever gave it expects
    /// that something is left out.
    func refuse(_ option: String, _ value: String?, _ file: String) throws {
        guard let value else { return }
        throw InputFault(
            file: self.file, line: nil,
            reason: "is \(file), of which \(option) \(value) says nothing; leave the option out")
    }

    /// A class by its name, or by its number where the agreement names none.
    func grade(_ text: String) -> UInt32? {
        guard rule.labels.isEmpty else {
            return rule.labels.firstIndex(of: text).map { UInt32($0) + 1 }
        }
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }),
            let grade = UInt32(text), (1...max(1, rule.classes)).contains(grade)
        else { return nil }
        return grade
    }

    /// What a class may be, in words.
    var classes: String {
        rule.labels.isEmpty
            ? "a whole number from 1 to \(rule.classes)" : rule.labels.joined(separator: ", ")
    }
}

/// A reader's answer to an item, where it stands in its file.
package struct AnswerRow: Sendable {
    package let place: String
    /// The item, or the name of its image.
    package let name: String
    /// Whether it is the item's own name, for which no other one can stand.
    package let isItem: Bool
    /// Nil when the reader drew nothing and the file does not say how large the image is.
    package let answer: Answer?
}

/// A reader's answer to an item of its worklist.
package struct AnnotatedItem: Hashable, Sendable {
    package let place: String
    package let item: ItemID
    package let answer: Answer
}

/// Reads a file of answers: a CSV table, a COCO file, or a Label Studio export.
///
/// - Parameters:
///   - bytes: of the file.
///   - source: what it is read for.
/// - Returns: a row each, in the order of the file; nothing is left out silently.
/// - Throws: ``InputFault`` for the first thing that is wrong.
package func readAnswers(_ bytes: [UInt8], _ source: AnswerSource) throws -> [AnswerRow] {
    let rows =
        switch firstCharacter(of: bytes) {
        case UInt8(ascii: "{"): try readCOCO(bytes, source)
        case UInt8(ascii: "["): try readLabelStudio(bytes, source)
        default: try readAnswerTable(bytes, source)
        }
    guard !rows.isEmpty else {
        throw InputFault(file: source.file, line: nil, reason: "holds no answers")
    }
    return rows
}

private func firstCharacter(of bytes: [UInt8]) -> UInt8 {
    bytes.first { !" \t\r\n\u{FEFF}".utf8.contains($0) } ?? 0
}

/// The items that rows answer, by the names of their images where those stand there.
///
/// - Parameters:
///   - rows: as read.
///   - items: of the reader, and the size of each one's image.
///   - source: what the rows were read for.
///   - reader: for refusals.
/// - Returns: an item for each row; where nothing was drawn, that answer at the image's size.
/// - Throws: ``InputFault`` for a row of no item, of one that stands there twice, or about an image
///   of another size.
package func resolve(
    _ rows: [AnswerRow], among items: [(item: ItemID, size: ImageSize?)], _ source: AnswerSource,
    reader: String
) throws -> [AnnotatedItem] {
    let sizes = Dictionary(
        items.map { ($0.item, $0.size) }, uniquingKeysWith: { first, _ in first })
    let records = Dictionary(grouping: sizes.keys.sorted(), by: recordName)
    var places: [ItemID: String] = [:]
    return try rows.map { row in
        func fault(_ reason: String) -> InputFault {
            InputFault(file: row.place, line: nil, reason: reason + "; nothing was sent")
        }
        let named = ItemID(row.name).flatMap { sizes[$0] == nil ? nil : [$0] }
        let images = row.isItem ? [] : imageNames(row.name)
        let found = named ?? images.lazy.compactMap { records[$0] }.first ?? []
        guard let item = found.first else {
            throw fault("\(row.name) is not on the worklist of \(reader)")
        }
        guard found.count == 1 else {
            throw fault(
                "\(row.name) may be " + found.map(\.text).joined(separator: " or ")
                    + "; name the item in full")
        }
        if let first = places.updateValue(row.place, forKey: item) {
            throw fault("\(item) of \(first) stands here again")
        }
        let size = sizes[item] ?? nil
        guard let answer = row.answer ?? size.flatMap({ nothing(source.rule.kind, on: $0) }) else {
            throw fault("nothing is drawn, and how large the image of \(item) is nobody says")
        }
        if let own = answer.size, let size, own != size {
            throw fault(
                "\(item) is an image of \(size.width)×\(size.height) pixels, not "
                    + "\(own.width)×\(own.height)")
        }
        return AnnotatedItem(place: row.place, item: item, answer: answer)
    }
}

/// The answer that there is nothing on an image.
private func nothing(_ kind: AnswerKind, on size: ImageSize) -> Answer? {
    switch kind {
    case .boxes: BoxSet(size: size, boxes: []).map(Answer.boxes)
    case .masks: RunMask(size: size, runs: [size.pixels]).map(Answer.mask)
    case .class, .ordinal, .measurement: nil
    }
}

extension Answer {
    /// Of the image, where the answer is about pixels.
    var size: ImageSize? {
        switch self {
        case .grade, .measurement: nil
        case .boxes(let set): set.size
        case .mask(let mask): mask.size
        }
    }
}

func recordName(_ item: ItemID) -> String { String(item.text.drop { $0 != "/" }.dropFirst()) }

/// The names that an image's path may stand for: as it is, its last part, without its ending, and
/// without the eight digits that Label Studio puts before an upload.
private func imageNames(_ path: String) -> [String] {
    let query = path.split(separator: "?", maxSplits: 1).first.map(String.init) ?? path
    let last = query.split(separator: "/").last.map(String.init) ?? query
    var names = [path, last]
    let parts = last.split(separator: "-", maxSplits: 1)
    if parts.count == 2, parts[0].count == 8, parts[0].allSatisfy(\.isHexDigit) {
        names.append(String(parts[1]))
    }
    return names
        + names.compactMap { name in
            name.lastIndex(of: ".").map { String(name[..<$0]) }
        }
}
