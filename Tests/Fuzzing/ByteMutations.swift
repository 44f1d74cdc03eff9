/// Changes that know nothing of what the bytes mean.
enum ByteMutation: CaseIterable {
    case flipBit, replaceByte, insert, delete, duplicate, truncate, integer, copyWithin, repeated

    func apply(to bytes: inout [UInt8], _ random: inout FuzzRandom) {
        guard !bytes.isEmpty else {
            bytes = (0..<random.below(16) + 1).map { _ in random.byte() }
            return
        }
        let place = random.below(bytes.count)
        let length = min(bytes.count - place, 1 + random.below(random.once(in: 4) ? 256 : 8))
        switch self {
        case .flipBit: bytes[place] ^= 1 << UInt8(random.below(8))
        case .replaceByte: bytes[place] = random.byte()
        case .insert:
            bytes.insert(contentsOf: (0..<length).map { _ in random.byte() }, at: place)
        case .delete: bytes.removeSubrange(place..<place + length)
        case .duplicate: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
        case .truncate: bytes.removeSubrange(place...)
        case .integer: Self.writeInteger(to: &bytes, at: place, &random)
        case .copyWithin:
            let target = random.below(bytes.count)
            let part = bytes[place..<min(place + length, place + bytes.count - target)]
            bytes.replaceSubrange(target..<target + part.count, with: Array(part))
        case .repeated:
            bytes.insert(
                contentsOf: repeatElement(bytes[place], count: 1 << random.below(11)), at: place)
        }
    }

    /// An integer in any of the forms in which lengths and counts stand in bytes.
    private static func writeInteger(
        to bytes: inout [UInt8], at place: Int, _ random: inout FuzzRandom
    ) {
        let value = random.integer()
        let written: [UInt8] =
            switch random.below(6) {
            case 0: varint(value)
            case 1: Array(String(value).utf8)
            case 2: (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            case 3: (0..<8).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            case 4: (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            default: [UInt8(truncatingIfNeeded: value)]
            }
        let end = random.once(in: 2) ? place : min(bytes.count, place + written.count)
        bytes.replaceSubrange(place..<end, with: written)
    }
}

func varint(_ value: UInt64) -> [UInt8] {
    var (rest, bytes) = (value, [UInt8]())
    while rest >= 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
    }
    return bytes + [UInt8(rest)]
}

/// The beginning of one input and the end of another.
func splice(_ first: [UInt8], _ second: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
    Array(first.prefix(random.below(first.count + 1)))
        + second.dropFirst(random.below(second.count + 1))
}

/// Changes that know where a text has its lines, words and signs.
func mutateText(
    _ bytes: inout [UInt8], words: [String], other: [UInt8], _ random: inout FuzzRandom
) {
    var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        .map(Array.init)
    let place = random.below(lines.count)
    switch random.below(9) {
    case 0: lines.remove(at: place)
    case 1: lines.insert(lines[random.below(lines.count)], at: place)
    case 2: lines.swapAt(place, random.below(lines.count))
    case 3:
        let others = other.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if !others.isEmpty { lines.insert(Array(others[random.below(others.count)]), at: place) }
    case 4, 5:
        let word = words.isEmpty ? "0" : words[random.below(words.count)]
        replaceWord(in: &lines[place], by: Array(word.utf8), &random)
    case 6: replaceWord(in: &lines[place], by: Array(String(random.integer()).utf8), &random)
    case 7:
        let signs = Array("{}[]()\"'\\,:;-_#&*!|>%@`~ \t\r/.+eE\u{0}".utf8) + [0xFF, 0xC3, 0xE2]
        lines[place].insert(
            signs[random.below(signs.count)], at: random.below(lines[place].count + 1))
    default:
        let word = words.isEmpty ? "x" : words[random.below(words.count)]
        lines[place].insert(
            contentsOf: Array(word.utf8), at: random.below(lines[place].count + 1))
    }
    bytes = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
}

private func replaceWord(
    in line: inout [UInt8], by word: [UInt8], _ random: inout FuzzRandom
) {
    func isOfWord(_ byte: UInt8) -> Bool {
        byte >= 0x80 || "_-./".utf8.contains(byte) || (48...57).contains(byte)
            || (65...90).contains(byte) || (97...122).contains(byte)
    }
    guard !line.isEmpty else { return line = word }
    var begin = random.below(line.count)
    var end = begin
    while begin > 0, isOfWord(line[begin - 1]) { begin -= 1 }
    while end < line.count, isOfWord(line[end]) { end += 1 }
    line.replaceSubrange(begin..<max(begin, end), with: word)
}
