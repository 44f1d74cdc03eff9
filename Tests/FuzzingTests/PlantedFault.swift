import Fuzzing
import Ledger
import TestSupport
import Wire

/// Parsers that go wrong in a way of which a run must find out.
enum PlantedFault: CaseIterable, Sendable {
    /// Believes the length in front of its bytes, and makes room.
    case allocatesByLength
    /// Does not ask whether it met the one encoding.
    case acceptsOtherEncodings
    /// Ignores bytes behind the end.
    case ignoresTheEnd
    /// Grows with the square of its input.
    case holdsTooMuch

    var words: String {
        switch self {
        case .allocatesByLength: "asked for"
        case .acceptsOtherEncodings, .ignoresTheEnd: "encodes to other bytes"
        case .holdsTooMuch: "held"
        }
    }

    var target: FuzzTarget {
        switch self {
        case .allocatesByLength:
            FuzzTarget(planted: "lengths", .bytes, seeds: [[3, 0, 0, 0, 7, 8, 9]]) { bytes in
                guard bytes.count >= 4 else { throw TooShort() }
                let length = bytes[..<4].reversed().reduce(0) { $0 << 8 | Int($1) } % (1 << 28)
                var content: [UInt8] = []
                content.reserveCapacity(length)
                content += bytes.dropFirst(4)
                guard content.count == length else { throw TooShort() }
                return bytes
            }
        case .acceptsOtherEncodings:
            FuzzTarget(
                planted: "encodings", .protobuf,
                seeds: [WireTransaction.register("east/a", of: named("p"), readers: []).encoded()]
            ) { bytes in
                guard let list = firstField(of: bytes) else { throw TooShort() }
                return list
            }
        case .ignoresTheEnd:
            FuzzTarget(planted: "ends", .frames, seeds: [Frames.bytes([[1], [2, 3]])]) { bytes in
                let frames = Frames.read(bytes)
                guard frames.count >= 2 else { throw TooShort() }
                return Frames.bytes(Array(frames.prefix(2)))
            }
        case .holdsTooMuch:
            FuzzTarget(planted: "squares", .bytes, seeds: [[UInt8](repeating: 1, count: 64)]) {
                let side = min($0.count, 1_024)
                let squares = (0..<4).map { [UInt8](repeating: UInt8($0), count: 4 * side * side) }
                return squares.isEmpty ? nil : $0
            }
        }
    }

    private struct TooShort: Error {}
}

/// A transaction without the check that the bytes are canonical: what it says, encoded anew.
private func firstField(of bytes: [UInt8]) -> [UInt8]? {
    guard bytes.count > 2, bytes[0] & 7 == 2, bytes[1] < 0x80,
        Int(bytes[1]) <= bytes.count - 2
    else { return nil }
    return Array(bytes.prefix(2 + Int(bytes[1])))
}
