import Foundation
import Node

/// What is wrong with a file that a person wrote, and in which line.
package struct InputFault: Error, Hashable, CustomStringConvertible {
    package let file: String
    package let line: Int?
    package let reason: String

    package var description: String {
        line.map { "\(file), line \($0): \(reason)" } ?? "\(file): \(reason)"
    }
}

/// The bytes of a file that a command was given.
func readFile(_ path: String) throws -> [UInt8] { try fileContent(path) }

/// Writes a file whole or not at all.
func writeFile(_ bytes: [UInt8], to path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
}

/// Text of a file, refused with its line where it is not UTF-8.
func utf8Text(_ bytes: [UInt8], file: String) throws -> String {
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    let content = bytes.starts(with: mark) ? bytes[3...] : bytes[...]
    if let text = String(validating: content, as: UTF8.self) { return text }
    var line = 1
    for part in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
        if String(validating: part, as: UTF8.self) == nil { break }
        line += 1
    }
    throw InputFault(file: file, line: line, reason: "is not UTF-8 text; save the file as UTF-8")
}

/// The longest line of a table, in bytes; the fields of a line are taken apart all at once.
let longestLine = 1 << 20

/// Refuses a table with a line that no table of ours has, before any of it is taken apart.
func checkLineLengths(_ bytes: [UInt8], file: String) throws {
    var (line, start) = (1, 0)
    for (place, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
        guard place - start <= longestLine else { break }
        (line, start) = (line + 1, place + 1)
    }
    // The first line that is too long, or the last one.
    let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
    guard end - start <= longestLine else { throw tooLongLine(line, file: file) }
}

func tooLongLine(_ line: Int, file: String) -> InputFault {
    InputFault(
        file: file, line: line,
        reason: "is longer than \(longestLine) bytes; is it a CSV file?")
}
