/// What a parser makes of bytes.
package enum ParserOutcome: Hashable, Sendable {
    /// Taken; the bytes that its content encodes to, where a strict parser owes those it was given.
    case accepted(encoded: [UInt8]?)
    /// Not taken, and why.
    case refused(String)
}

/// How the bytes of a target are built, so that mutations can respect it.
package enum FuzzForm: Hashable, Sendable {
    case protobuf, text, frames, bytes
}

/// A parser of bytes that anybody may send, and inputs to begin with.
package struct FuzzTarget: Sendable {
    package let name: String
    package let form: FuzzForm
    /// Made by the project's own encoders; each must be accepted.
    package let seeds: [[UInt8]]
    /// Words of the format, for texts.
    package let words: [String]
    /// Inputs that once were a fault, and others that must not be taken.
    package let hostile: [[UInt8]]
    /// Mends signatures and hashes of mutated bytes, so that checks behind them are reached.
    let mend: (@Sendable ([UInt8], inout FuzzRandom) -> [UInt8]?)?
    let parse: @Sendable ([UInt8]) throws -> [UInt8]?

    /// - Parameters:
    ///   - name: as the command line knows it.
    ///   - form: of its bytes.
    ///   - seeds: inputs that are accepted.
    ///   - words: of the format, for texts.
    ///   - hostile: inputs that are not accepted.
    ///   - mend: makes signatures and hashes of mutated bytes good again, where it can.
    ///   - parse: returns what the content encodes to, nil where many texts say the same, and
    ///     throws a refusal.
    init(
        _ name: String, _ form: FuzzForm, seeds: [[UInt8]], words: [String] = [],
        hostile: [[UInt8]] = [],
        mend: (@Sendable ([UInt8], inout FuzzRandom) -> [UInt8]?)? = nil,
        parse: @escaping @Sendable ([UInt8]) throws -> [UInt8]?
    ) {
        self.name = name
        self.form = form
        self.seeds = seeds
        self.words = words
        self.hostile = hostile
        self.mend = mend
        self.parse = parse
    }

    /// A target of somebody else's, such as a parser that is known to be wrong.
    package init(
        planted name: String, _ form: FuzzForm, seeds: [[UInt8]],
        parse: @escaping @Sendable ([UInt8]) throws -> [UInt8]?
    ) {
        self.init(name, form, seeds: seeds, parse: parse)
    }

    /// Mutated inputs, for whoever feeds them to something else than the parser in this process.
    package func inputs(_ count: Int, seed: UInt64) -> [[UInt8]] {
        var random = FuzzRandom(seed: seed)
        let (mutator, all) = (Mutator(form: form, words: words), seeds + hostile)
        return (0..<count).map { _ in
            mutator.mutated(
                all[random.below(all.count)], with: all[random.below(all.count)], &random)
        }
    }

    /// Runs the parser once; it may not trap.
    package func outcome(of bytes: [UInt8]) -> ParserOutcome {
        do {
            return .accepted(encoded: try parse(bytes))
        } catch { return .refused("\(error)") }
    }
}

/// A parser's word that bytes are not what it reads, where it has none of its own.
struct NotTaken: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
