package import Cryptography

/// What a member does in the consortium; the part of an account id before the slash.
package enum Role: String, CaseIterable, Hashable, Sendable {
    case coordinator, site, annotator, developer, patient, treasurer

    /// Whether the members of this role vote on blocks, one vote per organisation.
    package var votes: Bool { self == .coordinator || self == .site }
}

/// The ASCII id of an account, `role/name`; accounts are ordered by their bytes.
///
/// Roles of members are those of ``Role``; the consortium's own accounts are `reserve/…`,
/// `pool/…`, `stake/…`, `appeal/…`, `commons/…` and `external/…`.
package struct AccountID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String

    /// - Returns: nil unless the text is `role/name`, each of 1 to 64 characters `a-z 0-9 . _ -`.
    package init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ isIdentifier($0) }) else { return nil }
        self.text = text
    }

    /// The account `kind/name` of parts that are known to be well formed.
    package init(kind: String, name: String) {
        text = "\(kind)/\(name)"
    }

    package init(_ role: Role, _ name: String) {
        self.init(kind: role.rawValue, name: name)
    }

    package var kind: String { String(text.prefix { $0 != "/" }) }
    package var name: String { String(text.drop { $0 != "/" }.dropFirst()) }
    package var role: Role? { Role(rawValue: kind) }
    package var description: String { text }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.text.utf8.lexicographicallyPrecedes(rhs.text.utf8)
    }
}

/// Whether the bytes are 1 to 64 characters of `a-z 0-9 . _ -`.
package func isIdentifier(_ bytes: some Collection<UInt8>) -> Bool {
    (1...64).contains(bytes.count)
        && bytes.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
}

/// The name of a record and of the item that annotators read: `site/record`.
///
/// The site chooses the part after the slash; it must not be derived from a patient's identifier.
package struct ItemID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String

    /// - Returns: nil unless the text is `site/record`, each of 1 to 64 characters `a-z 0-9 . _ -`.
    package init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ isIdentifier($0) }) else { return nil }
        self.text = text
    }

    package var site: String { String(text.prefix { $0 != "/" }) }
    package var description: String { text }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.text.utf8.lexicographicallyPrecedes(rhs.text.utf8)
    }
}

/// The position of a block in the chain; genesis is 0.
package struct Height: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value }

    package static let genesis = Self(0)
    package var next: Self { advanced(by: 1) }
    package var description: String { String(value) }

    /// The height `blocks` later; the highest height there is when that does not fit.
    package func advanced(by blocks: UInt64) -> Self {
        let (sum, overflow) = value.addingReportingOverflow(blocks)
        return Self(overflow ? .max : sum)
    }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.value < rhs.value }
}

/// One coordinator's reign; term 1 is opened by the genesis document.
package struct Term: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value }

    package static let genesis = Self(0)
    package static let first = Self(1)
    package var description: String { String(value) }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.value < rhs.value }
}

/// A place for one block: slots compare by term first, then by height.
package struct Slot: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let term: Term
    package let height: Height

    package init(term: Term, height: Height) {
        self.term = term
        self.height = height
    }

    package static let genesis = Self(term: .genesis, height: .genesis)
    package var description: String { "(\(term), \(height))" }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.term, lhs.height) < (rhs.term, rhs.height)
    }
}

/// A round of a training run, counted from 1.
package struct RoundNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: UInt32

    package init(_ value: UInt32) { self.value = value }

    package var description: String { String(value) }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.value < rhs.value }
}

/// A transaction's id: the hash of its envelope and its index in it, written `<hash>/<n>`.
package struct TransactionID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let envelope: Digest
    package let index: UInt32

    package init(envelope: Digest, index: UInt32) {
        self.envelope = envelope
        self.index = index
    }

    /// - Returns: nil unless the text is 64 hexadecimal digits, a slash and a decimal number.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let envelope = Digest(hex: String(parts[0])),
            let index = UInt32(parts[1])
        else { return nil }
        self.init(envelope: envelope, index: index)
    }

    package var description: String { "\(envelope.hex)/\(index)" }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.envelope, lhs.index) < (rhs.envelope, rhs.index)
    }
}
