import Foundation
import Processes

/// `Protocols/verifier/verify.py` could not be run at all.
package struct NoVerifier: Error, CustomStringConvertible {
    package let description: String
}

/// What the second implementation says of one file.
package struct Opinion: Hashable, Sendable {
    package let proven: Bool
    /// Every key of its answer, as JSON prints the value.
    package let values: [String: String]

    package subscript(key: String) -> String? { values[key] }
}

/// Asks the second implementation, which is written in Python from the pages of `Protocols`.
///
/// - Parameters:
///   - what: `receipt`, `evidence` or `chain`.
///   - files: contents, one file each.
///   - genesis: the founding document.
///   - options: further arguments.
/// - Returns: one opinion a file.
/// - Throws: ``NoVerifier`` when there is no Python, or it lacks the package `cryptography`.
package func secondOpinions(
    _ what: String, on files: [[UInt8]], genesis: [UInt8], options: [String] = []
) async throws -> [Opinion] {
    let folder = FileManager.default.temporaryDirectory
        .appending(path: "tally-verifier-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let document = folder.appending(path: "genesis.tally")
    try Data(genesis).write(to: document)
    var paths: [String] = []
    for (index, content) in files.enumerated() {
        let path = folder.appending(path: "\(index)")
        try Data(content).write(to: path)
        paths.append(path.path())
    }
    let process = try ChildProcess(
        "/usr/bin/env",
        ["python3", verifierPath, what] + paths + ["--genesis", document.path()] + options)
    let ended = try await process.ended(within: .seconds(300))
    guard [0, 2].contains(ended.status) else {
        throw NoVerifier(
            description: "\(verifierPath) ended with \(ended); it needs python3 and its package "
                + "cryptography, which Tests/run installs")
    }
    let lines = ended.output.split(separator: "\n")
    guard lines.count == files.count else {
        throw NoVerifier(description: "\(lines.count) answers to \(files.count) files")
    }
    let opinions = try lines.map(opinion)
    guard opinions.allSatisfy(\.proven) == (ended.status == 0) else {
        throw NoVerifier(description: "it ended with \(ended.status)")
    }
    return opinions
}

private let verifierPath = URL(filePath: #filePath)
    .appending(path: "../../../Protocols/verifier/verify.py").standardized.path()

private func opinion(_ line: Substring) throws -> Opinion {
    let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    guard let object, let proven = object["proven"] as? Bool else {
        throw NoVerifier(description: "its answer is not understood: \(line)")
    }
    return Opinion(proven: proven, values: object.mapValues { "\($0)" })
}
