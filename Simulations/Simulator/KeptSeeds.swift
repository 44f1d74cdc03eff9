/// A seed that failed once, and what it showed.
package struct KeptSeed: Hashable, Sendable {
    package let seed: UInt64
    package let showed: String
}

/// Why a file of kept seeds cannot be read.
package struct KeptSeedFault: Error, Hashable, Sendable, CustomStringConvertible {
    let line: Int

    package var description: String {
        "line \(line) is not a seed, spaces and what it showed"
    }
}

/// Reads the seeds of one scenario: a seed and what it showed on each line, `#` before remarks.
///
/// - Parameter text: of the file.
/// - Returns: in the order of the lines.
/// - Throws: ``KeptSeedFault`` with the first line that is neither a seed nor a remark.
package func keptSeeds(in text: String) throws(KeptSeedFault) -> [KeptSeed] {
    var seeds: [KeptSeed] = []
    for (place, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where !line.isEmpty && !line.hasPrefix("#") {
        let parts = line.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, let seed = UInt64(parts[0]) else {
            throw KeptSeedFault(line: place + 1)
        }
        seeds.append(
            KeptSeed(seed: seed, showed: String(parts[1].drop { $0 == " " })))
    }
    return seeds
}
