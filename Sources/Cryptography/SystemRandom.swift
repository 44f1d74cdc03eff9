import COpenSSL

/// Random bytes from the operating system through OpenSSL.
///
/// - Throws: ``CryptographyError/library(operation:reason:)`` when the system has none to give.
package func systemRandomBytes(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: max(0, count))
    guard !bytes.isEmpty else { return bytes }
    guard RAND_priv_bytes(&bytes, Int32(clamping: bytes.count)) == 1 else {
        throw CryptographyError.library("draw \(count) random bytes")
    }
    return bytes
}
