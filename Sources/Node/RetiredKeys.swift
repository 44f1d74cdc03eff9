package import Cryptography
import Foundation
import Ledger

/// Keys that must never again vote or propose in this home, whatever files hold them.
///
/// A copy of a home lacks what was signed after it was made, and who signs on without knowing that
/// is a liar to everybody else. So the copy lists its keys here, one in hexadecimal a line: its
/// worker follows the chain and trains, and votes again under a new key.
extension Home {
    package static let retiredKeysName = "retired-keys"

    package var retiredKeysFile: String { path + "/" + Self.retiredKeysName }

    /// The keys that are given up; none in a home that was never copied.
    ///
    /// - Throws: ``HomeError/unreadable(file:reason:)``: what cannot be read must not be passed over.
    package func retiredKeys() throws -> Set<VerifyingKey> {
        guard exists(retiredKeysFile) else { return [] }
        let bytes = try read(retiredKeysFile, remedy: "run `tally site restore`")
        var keys: Set<VerifyingKey> = []
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            guard let digits = Digest(hex: String(line)), let key = VerifyingKey(digits.bytes)
            else {
                throw HomeError.unreadable(
                    file: retiredKeysFile, reason: "a line is no key in hexadecimal")
            }
            keys.insert(key)
        }
        return keys
    }

    /// The keys that are given up, with every key of this home that votes or, at a coordinator,
    /// proposes.
    ///
    /// - Throws: ``HomeError``, or what is wrong with a member document.
    func keysToRetire() throws -> Set<VerifyingKey> {
        var keys = try retiredKeys()
        for document in try members() {
            if let vote = document.voteKey { keys.insert(vote) }
            if document.account.role == .coordinator { keys.insert(document.signingKey) }
        }
        return keys
    }

    /// The document of every set of keys in this home, the first set's first.
    private func members() throws -> [Member] {
        try [member()]
            + stride(from: 1, through: rotations, by: 1).map { try rotatedMember($0) }
    }

    /// The first vote key of this home that is not given up; nil when all are.
    func firstVoteKeyInUse() throws -> VerifyingKey? {
        let retired = try retiredKeys()
        return try members().compactMap(\.voteKey).first { !retired.contains($0) }
    }

    /// Gives up all these keys.
    func retireKeys() throws { try retire(keysToRetire()) }

    /// Writes the list of given-up keys, in the place of an earlier one.
    func retire(_ keys: Set<VerifyingKey>) throws {
        let text = keys.sorted().map { hexString($0.bytes) + "\n" }.joined()
        try replace(retiredKeysFile, with: Array(text.utf8))
    }
}
