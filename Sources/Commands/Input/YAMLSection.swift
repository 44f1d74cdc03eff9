import Foundation
import Ledger
import Node
import Yams

/// A mapping of an agreement file, read key by key; every refusal names place and line.
struct YAMLSection {
    private let file: String
    private let place: String
    private let line: Int?
    private let values: [String: Node]

    /// Reads a whole file.
    ///
    /// - Parameters:
    ///   - text: of the file.
    ///   - file: its name, for refusals.
    ///   - keys: all that it may have.
    /// - Throws: ``InputFault``.
    init(text: String, file: String, keys: [String]) throws {
        try checkAliases(text, file: file)
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw yamlFault(error, file: file)
        }
        guard let node else {
            throw InputFault(file: file, line: nil, reason: "is empty; it holds no agreement")
        }
        try self.init(node, place: "", file: file, keys: keys)
    }

    private init(_ node: Node, place: String, file: String, keys: [String]?) throws {
        self.file = file
        self.place = place
        line = node.mark?.line
        guard let mapping = node.mapping else {
            throw InputFault(
                file: file, line: line,
                reason: "\(place.isEmpty ? "the agreement" : place) must be a list of keys and "
                    + "values")
        }
        var values: [String: Node] = [:]
        for (key, value) in mapping {
            let name = key.string ?? "?"
            if let keys, !keys.contains(name) {
                throw InputFault(
                    file: file, line: key.mark?.line,
                    reason: "\(Self.path(place, name)) is not known; there are "
                        + keys.joined(separator: ", "))
            }
            values[name] = value
        }
        self.values = values
    }

    private static func path(_ place: String, _ key: String) -> String {
        place.isEmpty ? key : "\(place).\(key)"
    }

    func fault(_ key: String, _ reason: String) -> InputFault {
        InputFault(
            file: file, line: values[key]?.mark?.line ?? line,
            reason: "\(Self.path(place, key)) \(reason)")
    }

    private func node(_ key: String) throws -> Node {
        guard let node = values[key] else { throw fault(key, "is missing") }
        return node
    }

    private func scalar(_ key: String, _ kind: String) throws -> Node.Scalar {
        guard let scalar = try node(key).scalar else { throw fault(key, "must be \(kind)") }
        return scalar
    }

    func has(_ key: String) -> Bool { values[key] != nil }

    /// The keys that stand there, ascending.
    var keys: [String] { values.keys.sorted() }

    /// A value as it stands there, whatever it is: a list with commas, what is deeper as dots.
    func plainText(_ key: String) -> String {
        func text(_ node: Node?) -> String { node?.scalar?.string ?? "…" }
        guard let sequence = values[key]?.sequence else { return text(values[key]) }
        return sequence.map { text($0) }.joined(separator: ", ")
    }

    /// A mapping in this one; without `keys` any may stand there.
    func section(_ key: String, keys: [String]?) throws -> YAMLSection {
        try YAMLSection(
            node(key), place: Self.path(place, key), file: file, keys: keys)
    }

    func text(_ key: String) throws -> String {
        let text = try scalar(key, "a text").string
        guard !text.isEmpty else { throw fault(key, "must not be empty") }
        return text
    }

    func whole<Number: FixedWidthInteger & UnsignedInteger>(
        _ key: String, _ type: Number.Type = Number.self
    ) throws -> Number {
        let scalar = try scalar(key, "a whole number")
        guard scalar.style == .plain, scalar.string.utf8.allSatisfy({ (48...57).contains($0) }),
            let number = Number(scalar.string)
        else {
            throw fault(
                key, "must be a whole number from 0 to \(Number.max), not \"\(scalar.string)\"")
        }
        return number
    }

    func flag(_ key: String) throws -> Bool {
        let scalar = try scalar(key, "true or false")
        switch (scalar.style, scalar.string) {
        case (.plain, "true"): return true
        case (.plain, "false"): return false
        default: throw fault(key, "must be true or false, not \"\(scalar.string)\"")
        }
    }

    /// A decimal string in millionths; never parsed as a floating point number.
    func millionths(_ key: String) throws -> UInt64 {
        let kind = "a decimal number in quotes with at most six decimals, such as \"0.25\""
        let scalar = try scalar(key, kind)
        guard scalar.style == .doubleQuoted || scalar.style == .singleQuoted else {
            throw fault(key, "must be \(kind)")
        }
        if let amount = TokenAmount(tokens: scalar.string) { return amount.microtokens }
        if case .tooLarge = amountFault(scalar.string) {
            throw fault(key, "is too large: \"\(scalar.string)\" is beyond 64 bits of millionths")
        }
        throw fault(key, "must be \(kind)")
    }

    /// A decimal string in thousandths, with a sign if need be.
    func thousandths(_ key: String) throws -> Int64 {
        let kind = "a decimal number in quotes with at most three decimals, such as \"-0.25\""
        let scalar = try scalar(key, kind)
        guard scalar.style == .doubleQuoted || scalar.style == .singleQuoted,
            let value = decimalThousandths(scalar.string)
        else { throw fault(key, "must be \(kind)") }
        return value
    }

    /// A fraction such as "2/3".
    func fraction(_ key: String) throws -> (numerator: UInt32, denominator: UInt32) {
        let text = try scalar(key, "a fraction such as \"2/3\"").string
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2,
            parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let numerator = UInt32(parts[0]), let denominator = UInt32(parts[1])
        else { throw fault(key, "must be a fraction such as \"2/3\", not \"\(text)\"") }
        return (numerator, denominator)
    }

    func wholes(_ key: String) throws -> [UInt32] {
        try texts(key).enumerated().map { index, text in
            guard text.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt32(text)
            else { throw fault("\(key)[\(index)]", "must be a whole number, not \"\(text)\"") }
            return number
        }
    }

    func texts(_ key: String) throws -> [String] {
        guard let sequence = try node(key).sequence else { throw fault(key, "must be a list") }
        return try sequence.enumerated().map { index, node in
            guard let text = node.scalar?.string, !text.isEmpty else {
                throw InputFault(
                    file: file, line: node.mark?.line,
                    reason: "\(Self.path(place, key))[\(index)] must be a text")
            }
            return text
        }
    }

    func sections(_ key: String, keys: [String]) throws -> [YAMLSection] {
        guard let sequence = try node(key).sequence else { throw fault(key, "must be a list") }
        return try sequence.enumerated().map { index, node in
            try YAMLSection(
                node, place: "\(Self.path(place, key))[\(index)]", file: file, keys: keys)
        }
    }
}

/// What an alias stands for may hold aliases of its own, and a key is compared with all of it: a
/// few lines of them would keep the reader busy for years. So few cannot.
private let mostAliases = 8

/// Refuses a text with more stars that may begin an alias than an agreement needs.
private func checkAliases(_ text: String, file: String) throws {
    var (line, count, isAfterStar) = (1, 0, false)
    for byte in text.utf8 {
        if isAfterStar, byte > UInt8(ascii: " ") { count += 1 }
        guard count <= mostAliases else {
            throw InputFault(
                file: file, line: line,
                reason:
                    "has more than \(mostAliases) aliases (*name); write out what they stand for")
        }
        isAfterStar = byte == UInt8(ascii: "*")
        if byte == UInt8(ascii: "\n") { line += 1 }
    }
}

private func yamlFault(_ error: YamlError, file: String) -> InputFault {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
        .composer(_, let problem, let mark, _):
        InputFault(file: file, line: mark.line, reason: "is not YAML: \(problem)")
    case .duplicatedKeysInMapping(let names, let context):
        InputFault(
            file: file, line: context.mark.line,
            reason: "\(names.sorted().joined(separator: ", ")) stands twice")
    default: InputFault(file: file, line: nil, reason: "is not YAML")
    }
}
