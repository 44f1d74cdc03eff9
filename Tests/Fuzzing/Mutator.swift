/// Makes an input from those that there are; the same from the same random numbers.
struct Mutator {
    /// Longer inputs only take longer.
    static let longest = 1 << 16

    let form: FuzzForm
    let words: [String]

    func mutated(_ input: [UInt8], with other: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
        var bytes = input
        for _ in 0..<1 + random.below(random.once(in: 3) ? 6 : 2) {
            mutate(&bytes, with: other, &random)
        }
        return bytes.count > Self.longest ? Array(bytes.prefix(Self.longest)) : bytes
    }

    private func mutate(_ bytes: inout [UInt8], with other: [UInt8], _ random: inout FuzzRandom) {
        if form != .bytes, !random.once(in: 5) {
            switch form {
            case .protobuf:
                if var list = FieldList(bytes) {
                    list.mutate(other: FieldList(other) ?? list, &random)
                    return bytes = list.encoded
                }
            case .text: return mutateText(&bytes, words: words, other: other, &random)
            case .frames: return mutateFrames(&bytes, other: other, &random)
            case .bytes: break
            }
        }
        if random.once(in: 12) {
            bytes = splice(bytes, other, &random)
        } else {
            let all = ByteMutation.allCases
            all[random.below(all.count)].apply(to: &bytes, &random)
        }
    }

    private func mutateFrames(
        _ bytes: inout [UInt8], other: [UInt8], _ random: inout FuzzRandom
    ) {
        var frames = Frames.read(bytes)
        let others = Frames.read(other)
        let place = random.below(frames.count)
        switch random.below(6) {
        case 0 where !frames.isEmpty: frames.remove(at: place)
        case 1: frames.insert([], at: place)
        case 2 where !frames.isEmpty: frames.insert(frames[place], at: place)
        case 3 where !frames.isEmpty: frames.swapAt(place, random.below(frames.count))
        case 4 where !others.isEmpty:
            frames.insert(others[random.below(others.count)], at: place)
        default:
            guard !frames.isEmpty else { return frames.append([random.byte()]) }
            let all = ByteMutation.allCases
            all[random.below(all.count)].apply(to: &frames[place], &random)
        }
        bytes = Frames.bytes(frames)
    }
}

/// The frames of a message as one run of bytes: each with its length (2 bytes, big-endian) before.
package enum Frames {
    /// Reads as many frames as there are; the last may be cut.
    package static func read(_ bytes: [UInt8]) -> [[UInt8]] {
        var frames: [[UInt8]] = []
        var rest = bytes[...]
        while rest.count >= 2, frames.count < 32 {
            let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            rest = rest.dropFirst(2)
            frames.append(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return frames
    }

    package static func bytes(_ frames: [[UInt8]]) -> [UInt8] {
        frames.flatMap { frame in
            let frame = frame.prefix(0xFFFF)
            return [UInt8(frame.count >> 8), UInt8(frame.count & 0xFF)] + frame
        }
    }
}
