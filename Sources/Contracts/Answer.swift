import Ledger

/// What kind of answer an agreement asks for; raw values stand in the agreement.
package enum AnswerKind: String, CaseIterable, Sendable {
    case `class`, ordinal, measurement, boxes, masks

    /// Whether answers are numbers from 1, judged by score/1.
    package var isGrade: Bool { self == .class || self == .ordinal }

    /// Whether answers are about the pixels of an image, whose size the record states.
    package var isImage: Bool { self == .boxes || self == .masks }

    /// How many readers an item may have: what comparing boxes and masks costs grows with the
    /// square of them.
    package var mostReaders: Int { isImage ? 16 : 64 }
}

/// An image's size in pixels.
package struct ImageSize: Hashable, Sendable {
    /// The longest side: its square still counts in 32 bits.
    package static let longestSide: UInt32 = 16_384

    package let width: UInt32
    package let height: UInt32

    /// - Returns: nil unless both sides are 1 to 16,384.
    package init?(width: UInt32, height: UInt32) {
        let sides = 1...Self.longestSide
        guard sides.contains(width), sides.contains(height) else { return nil }
        self.width = width
        self.height = height
    }

    package var pixels: UInt32 { width * height }
}

/// What a reader says about an item.
package enum Answer: Hashable, Sendable {
    /// A class or a grade, counted from 1.
    case grade(UInt32)
    /// In thousandths of its unit.
    case measurement(Int64)
    case boxes(BoxSet)
    case mask(RunMask)

    /// The bytes that a commitment covers and the state keeps.
    ///
    /// A grade is four bytes; of the others the first says the kind.
    package var bytes: [UInt8] {
        switch self {
        case .grade(let grade): return bigEndian(grade)
        case .measurement(let value):
            return [UInt8(ascii: "m")] + bigEndian(UInt64(bitPattern: value))
        case .boxes(let set):
            return [UInt8(ascii: "b")] + bigEndian(UInt32(truncatingIfNeeded: set.boxes.count))
                + set.boxes.flatMap { $0.fields.flatMap(bigEndian) }
        case .mask(let mask):
            return [UInt8(ascii: "r")] + bigEndian(UInt32(truncatingIfNeeded: mask.runs.count))
                + mask.runs.flatMap(bigEndian)
        }
    }

    /// Reads ``bytes`` back.
    ///
    /// - Returns: nil for bytes that no answer of this kind to an image of this size has.
    package init?(bytes: some Collection<UInt8>, kind: AnswerKind, size: ImageSize?) {
        let bytes = Array(bytes)
        let words = stride(from: kind.isGrade ? 0 : 1, to: bytes.count, by: 4).compactMap {
            word(bytes[$0...].prefix(4))
        }
        switch kind {
        case .class, .ordinal:
            guard bytes.count == 4 else { return nil }
            self = .grade(words[0])
        case .measurement:
            guard bytes.count == 9, bytes[0] == UInt8(ascii: "m") else { return nil }
            self = .measurement(
                Int64(bitPattern: UInt64(words[0]) << 32 | UInt64(words[1])))
        case .boxes:
            guard let size, bytes.first == UInt8(ascii: "b"),
                bytes.count == 1 + 4 * words.count, let count = words.first,
                words.count == 1 + 5 * Int(count)
            else { return nil }
            let boxes = (0..<Int(count)).map { Box(fields: words[(1 + 5 * $0)...]) }
            guard let set = BoxSet(size: size, boxes: boxes) else { return nil }
            self = .boxes(set)
        case .masks:
            guard let size, bytes.first == UInt8(ascii: "r"),
                bytes.count == 1 + 4 * words.count, words.first.map(Int.init) == words.count - 1,
                let mask = RunMask(size: size, runs: Array(words.dropFirst()))
            else { return nil }
            self = .mask(mask)
        }
    }
}

private func word(_ bytes: ArraySlice<UInt8>) -> UInt32? {
    bytes.count == 4 ? bytes.reduce(0) { $0 << 8 | UInt32($1) } : nil
}
