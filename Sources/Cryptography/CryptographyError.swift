import COpenSSL

/// Why a key, a passphrase or a sealed row could not be used; never carries a secret.
package enum CryptographyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// OpenSSL refused an operation that does not fail on good input.
    case library(operation: String, reason: String)
    case wrongLength(String, expected: Int, found: Int)
    case notPEM
    case notPrivateKey(label: String)
    case passphraseNeeded
    case wrongPassphrase
    case wrongKeyKind(expected: String, found: String)
    /// A sealed row was changed, cut, moved to another place, or sealed under another key.
    case notAuthentic

    package var description: String {
        switch self {
        case .library(let operation, let reason):
            "OpenSSL could not \(operation): \(reason)"
        case .wrongLength(let what, let expected, let found):
            "a \(what) has \(expected) bytes, not \(found)"
        case .notPEM:
            "the text is not a PEM file; it should begin with -----BEGIN PRIVATE KEY-----"
                + " or -----BEGIN ENCRYPTED PRIVATE KEY-----"
        case .notPrivateKey(let label):
            "the PEM file holds a \(label), not a PKCS #8 private key"
        case .passphraseNeeded:
            "the private key is encrypted; give its passphrase"
        case .wrongPassphrase:
            "the passphrase does not open the private key, or the file is damaged"
        case .wrongKeyKind(let expected, let found):
            "the file holds a key of kind \(found), not \(expected)"
        case .notAuthentic:
            "the sealed bytes were changed, moved, or sealed under another key"
        }
    }

    /// The failure of `operation` with OpenSSL's own reason; empties its error queue.
    static func library(_ operation: String) -> Self {
        var text = [CChar](repeating: 0, count: 256)
        let code = ERR_get_error()
        ERR_error_string_n(code, &text, text.count)
        ERR_clear_error()
        let reason = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return .library(
            operation: operation,
            reason: code == 0 ? "no reason given" : String(decoding: reason, as: UTF8.self))
    }
}
