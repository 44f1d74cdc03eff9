package import Cryptography
import Glibc

/// Why a blob could not be kept or found; names the blob or the file.
package enum BlobError: Error, Hashable, Sendable, CustomStringConvertible {
    case missing(Digest)
    /// The file's bytes no longer hash to its name.
    case damaged(Digest)
    case tooLarge(Digest, bytes: UInt64, maximum: UInt64)
    /// No transfer of this blob was begun.
    case notBegun(Digest)
    /// A piece that does not follow on what is there, or that goes beyond the blob's end.
    case outOfPlace(Digest, offset: UInt64, present: UInt64)
    case incomplete(Digest, present: UInt64, size: UInt64)
    /// Its sender has more bytes here than it may that no transaction names.
    case quotaExceeded(Digest, bytes: UInt64, maximum: UInt64)
    /// All bytes came and they are another blob's; they were deleted.
    case wrongContent(expected: Digest, found: Digest)
    /// The system refused an operation; `code` is its errno.
    case system(operation: String, path: String, code: Int32)

    package var description: String {
        switch self {
        case .missing(let digest):
            "blob \(digest) is not in this store; fetch it from another member"
        case .damaged(let digest):
            "blob \(digest) is damaged on this disk; fetch it again from another member"
        case .tooLarge(let digest, let bytes, let maximum):
            "blob \(digest) is announced with \(bytes) bytes; at most \(maximum) are taken"
        case .notBegun(let digest):
            "no transfer of blob \(digest) was begun; begin it again"
        case .outOfPlace(let digest, let offset, let present):
            "a piece of blob \(digest) at byte \(offset) does not fit; go on at byte \(present)"
        case .incomplete(let digest, let present, let size):
            "blob \(digest) has \(present) of \(size) bytes; go on at byte \(present)"
        case .quotaExceeded(let digest, let bytes, let maximum):
            "blob \(digest) of \(bytes) bytes is not taken: its sender may have \(maximum) bytes "
                + "here that no transaction names; name what was sent before in transactions"
        case .wrongContent(let expected, let found):
            "the bytes sent as blob \(expected) are \(found); they were deleted, fetch it again"
        case .system(let operation, let path, let code):
            "could not \(operation) \(path): \(String(cString: strerror(code)))"
                + (code == ENOSPC || code == EDQUOT ? "; free space on that disk first" : "")
        }
    }
}
