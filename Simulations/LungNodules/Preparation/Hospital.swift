import Cryptography

/// The seats of a hospital are numbered from 1 to this.
package let seatsPerHospital = 4

/// A hospital of the simulated consortium; the raw table does not say where a patient was seen.
package enum Hospital: String, CaseIterable, Hashable, Sendable {
    case north, east, west

    /// The names of the seats, `north-1` to `north-4`.
    package var seats: [String] { (1...seatsPerHospital).map { seat($0) } }

    package func seat(_ reader: Int) -> String { "\(rawValue)-\(reader)" }
}

/// What a record is for; a patient's records all have one use.
package enum Use: String, Hashable, Sendable {
    case training, evaluation
}

/// Where a patient belongs, drawn from the SHA-256 of the id so that everybody draws the same.
package struct Placement: Hashable, Sendable {
    package let hospital: Hospital
    package let use: Use

    /// - Parameter patient: the local patient id.
    package init(patient: String) {
        let hash = Digest.sha256(Array(patient.utf8)).bytes
        use = Self.percentile(hash[0..<4]) < 20 ? .evaluation : .training
        hospital =
            switch Self.percentile(hash[4..<8]) {
            case ..<55: .north
            case ..<85: .east
            default: .west
            }
    }

    /// Four bytes (eight hexadecimal digits) of the hash, big-endian, modulo 100.
    private static func percentile(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } % 100
    }
}
