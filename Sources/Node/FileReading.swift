import Foundation

/// Why a file that somebody named cannot be read, in words for people.
package struct UnreadableFile: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        case notThere, folder, forbidden
        case tooLong(limit: Int)
        case other(String)

        /// After "cannot be read:".
        package var words: String {
            switch self {
            case .notThere: "it is not there"
            case .folder: "it is a folder"
            case .forbidden: "this user may not read it"
            case .tooLong(let limit): "it has more than \(limit) bytes"
            case .other(let words): words
            }
        }
    }

    package let path: String
    package let reason: Reason

    package var description: String {
        switch reason {
        case .notThere: "\(path) is not there; check the path"
        case .folder: "\(path) is a folder; name a file"
        case .forbidden: "\(path) may not be read by this user; check its permissions"
        case .tooLong(let limit): "\(path) has more than \(limit) bytes; it is no such file"
        case .other(let words): "\(path) cannot be read: \(words)"
        }
    }
}

/// The bytes of a file that somebody named.
///
/// - Parameters:
///   - path: of the file.
///   - limit: bytes it has at most; of a longer one no more is read.
/// - Returns: all of them.
/// - Throws: ``UnreadableFile``, which names the file.
package func fileContent(
    _ path: String, atMost limit: Int? = nil
) throws(UnreadableFile) -> [UInt8] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw UnreadableFile(path: path, reason: .notThere)
    }
    guard !isFolder.boolValue else { throw UnreadableFile(path: path, reason: .folder) }
    let content: Data
    do {
        content = try bytes(of: path, atMost: limit)
    } catch CocoaError.fileReadNoPermission {
        throw UnreadableFile(path: path, reason: .forbidden)
    } catch {
        let cause = (error as? CocoaError)?.underlying as? POSIXError
        throw UnreadableFile(
            path: path,
            reason: .other(
                cause.map { String(cString: strerror($0.code.rawValue)) }
                    ?? "the system gives no reason"))
    }
    if let limit, content.count > limit {
        throw UnreadableFile(path: path, reason: .tooLong(limit: limit))
    }
    return [UInt8](content)
}

private func bytes(of path: String, atMost limit: Int?) throws -> Data {
    guard let limit else { return try Data(contentsOf: URL(filePath: path)) }
    let handle = try FileHandle(forReadingFrom: URL(filePath: path))
    defer { try? handle.close() }
    return try handle.read(upToCount: limit + 1) ?? Data()
}
