import Glibc
import Synchronization

/// What a process prints, in a file: reading it never waits, and nobody has to keep reading.
final class OutputFile: Sendable {
    let descriptor: Int32
    private let printed = Mutex(Printed())

    private struct Printed {
        var lines: [String] = []
        var rest: [UInt8] = []
        var offset: off_t = 0
    }

    /// Opens a file, or one that has no name and goes with this object.
    ///
    /// - Parameter path: of the file; what stood in it is lost.
    /// - Throws: ``ProcessFault``.
    init(path: String? = nil) throws {
        if let path {
            descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        } else {
            let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
            var template = Array("\(folder)/tally-output-XXXXXX".utf8CString)
            descriptor = mkstemp(&template)
            if descriptor >= 0 {
                unlink(template)
                _ = fcntl(descriptor, F_SETFL, O_APPEND)
            }
        }
        guard descriptor >= 0 else {
            throw ProcessFault(
                "\(path ?? "a file for output") cannot be opened: "
                    + String(cString: strerror(errno)))
        }
    }

    deinit { close(descriptor) }

    /// Every line that is complete.
    var lines: [String] {
        printed.withLock { printed in
            printed.rest += Self.bytes(of: descriptor, from: &printed.offset)
            while let end = printed.rest.firstIndex(of: UInt8(ascii: "\n")) {
                printed.lines.append(String(decoding: printed.rest[..<end], as: UTF8.self))
                printed.rest.removeSubrange(...end)
            }
            return printed.lines
        }
    }

    /// Everything, as far as it is there.
    var text: String {
        var offset: off_t = 0
        return String(decoding: Self.bytes(of: descriptor, from: &offset), as: UTF8.self)
    }

    private static func bytes(of descriptor: Int32, from offset: inout off_t) -> [UInt8] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = pread(descriptor, &part, part.count, offset), count > 0 {
            bytes += part[..<count]
            offset += off_t(count)
        }
        return bytes
    }
}
