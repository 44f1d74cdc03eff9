package import Foundation

/// A file of the repository, by its path from the top.
package func repositoryFile(_ path: String) -> URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: path)
}

/// Reads `Tests/Vectors/<name>.json`.
package func vectors<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value {
    let data = try Data(contentsOf: repositoryFile("Tests/Vectors/\(name).json"))
    return try JSONDecoder().decode(type, from: data)
}
