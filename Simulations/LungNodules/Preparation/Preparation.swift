package import Foundation

/// Why the preparation could not start or finish, apart from the table's own mistakes.
package enum PreparationFailure: Error, Hashable, Sendable, CustomStringConvertible {
    case unreadable(String, reason: String)
    case notText(String)
    case occupied(String)
    case unwritable(String, reason: String)

    package var description: String {
        switch self {
        case .unreadable(let file, let reason):
            "\(file) cannot be read (\(reason)); name the table of readings with --readings."
        case .notText(let file):
            "\(file) is not UTF-8 text; export the table as CSV in UTF-8."
        case .occupied(let folder):
            "\(folder) is there already; remove it or name another folder with --out."
        case .unwritable(let folder, let reason):
            "\(folder) cannot be written (\(reason)); name another folder with --out."
        }
    }
}

/// Writes what each hospital takes into the consortium, whole or not at all.
///
/// The files are written beside the folder under another name and renamed last, so that a crash
/// leaves nothing that looks finished. Only the owner may enter the folder: it has patient ids.
///
/// - Parameters:
///   - table: the raw table of readings.
///   - folder: what to make; it may be there when it is empty.
/// - Returns: what was written, in the order north, east, west.
/// - Throws: ``TableMistake`` or ``PreparationFailure``.
package func prepare(table: URL, folder: URL) throws -> [HospitalTables] {
    let bytes: Data
    do {
        bytes = try Data(contentsOf: table)
    } catch {
        throw PreparationFailure.unreadable(table.path, reason: reason(error))
    }
    guard let text = String(data: bytes, encoding: .utf8) else {
        throw PreparationFailure.notText(table.path)
    }
    let tables = HospitalTables.divided(try readings(inCSV: text, file: table.path))
    let files = tables.reduce(into: [:]) { $0.merge($1.files, uniquingKeysWith: { $1 }) }
    try write(files, to: folder)
    return tables
}

/// Writes the files by their relative paths and gives the folder its name only when all are there.
private func write(_ files: [String: String], to folder: URL) throws(PreparationFailure) {
    let disk = FileManager.default
    let staging = folder.deletingLastPathComponent().appendingPathComponent(
        ".\(folder.lastPathComponent).\(ProcessInfo.processInfo.processIdentifier).partial")
    defer { try? disk.removeItem(at: staging) }
    do {
        try disk.createDirectory(
            at: folder.deletingLastPathComponent(), withIntermediateDirectories: true)
        try disk.createDirectory(
            at: staging, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
        for (path, text) in files.sorted(by: { $0.key < $1.key }) {
            let file = staging.appendingPathComponent(path)
            try disk.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
    } catch {
        throw .unwritable(folder.path, reason: reason(error))
    }
    guard rename(staging.path, folder.path) == 0 else {
        let code = errno
        guard code != EEXIST, code != ENOTEMPTY, code != ENOTDIR else {
            throw .occupied(folder.path)
        }
        throw .unwritable(folder.path, reason: String(cString: strerror(code)))
    }
}

/// The usual reasons in a few words; Foundation's sentences name neither file nor cause.
private func reason(_ error: any Error) -> String {
    switch (error as? CocoaError)?.code {
    case .fileNoSuchFile, .fileReadNoSuchFile: "no such file or folder"
    case .fileReadNoPermission, .fileWriteNoPermission: "permission denied"
    case .fileWriteOutOfSpace: "no space left"
    case .fileWriteVolumeReadOnly: "read-only file system"
    default: error.localizedDescription
    }
}
