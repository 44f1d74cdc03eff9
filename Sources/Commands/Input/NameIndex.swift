/// Names of a table, each once, by a number in the order in which they first stand there.
///
/// One arena of bytes and one open-addressed table: a string and a dictionary entry for each of
/// a million fields would take ten times the memory and the time.
struct NameIndex {
    private var arena: [UInt8] = []
    private var ends: [Int] = [0]
    /// A number + 1, or 0 where nothing stands; a power of two of them, at most half full.
    private var slots = [Int32](repeating: 0, count: 64)

    var count: Int { ends.count - 1 }

    func text(_ number: Int) -> String {
        String(decoding: arena[ends[number]..<ends[number + 1]], as: UTF8.self)
    }

    /// The number of a name, a new one if it is new.
    ///
    /// - Precondition: fewer than 2³⁰ names.
    mutating func number(of name: UnsafeBufferPointer<UInt8>) -> Int32 {
        let place = slot(of: name)
        guard slots[place] == 0 else { return slots[place] - 1 }
        let number = Int32(truncatingIfNeeded: count)
        arena.append(contentsOf: name)
        ends.append(arena.count)
        slots[place] = number + 1
        if count * 2 > slots.count { grow() }
        return number
    }

    private func slot(of name: UnsafeBufferPointer<UInt8>) -> Int {
        let mask = slots.count - 1
        var place = Self.hash(name) & mask
        while slots[place] != 0, !isName(Int(slots[place]) - 1, name) { place = (place + 1) & mask }
        return place
    }

    private func isName(_ number: Int, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        let start = ends[number]
        guard ends[number + 1] - start == name.count else { return false }
        for offset in 0..<name.count where arena[start + offset] != name[offset] { return false }
        return true
    }

    private static func hash(_ name: UnsafeBufferPointer<UInt8>) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(name))
        return hasher.finalize()
    }

    private mutating func grow() {
        slots = [Int32](repeating: 0, count: slots.count * 2)
        let mask = slots.count - 1
        arena.withUnsafeBufferPointer { arena in
            for number in 0..<count {
                let name = UnsafeBufferPointer(rebasing: arena[ends[number]..<ends[number + 1]])
                var place = Self.hash(name) & mask
                while slots[place] != 0 { place = (place + 1) & mask }
                slots[place] = Int32(truncatingIfNeeded: number) + 1
            }
        }
    }
}

/// The order in which people count: by value when all names are whole numbers, else by bytes.
///
/// - Returns: for each place the number of the name that stands there.
func naturalOrder(_ names: [String]) -> [Int] {
    let values = names.compactMap(wholeNumber)
    if values.count == names.count {
        return names.indices.sorted { values[$0] < values[$1] }
    }
    let bytes = names.map { Array($0.utf8) }
    return names.indices.sorted { bytes[$0].lexicographicallyPrecedes(bytes[$1]) }
}

/// A whole number written in the one usual way; nil for `007`, `+1`, `-0` and anything else.
func wholeNumber(_ text: String) -> Int? {
    guard let value = Int(text), String(value) == text else { return nil }
    return value
}
