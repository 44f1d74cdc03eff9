import Cryptography
import FuzzProbe

/// What a parser may take while it reads one input.
package struct FuzzLimits: Hashable, Sendable {
    /// Held at a time, beside what grows with the input.
    package var bytes: Int64 = 1 << 20
    package var bytesPerByte: Int64 = 100
    /// A single execution beyond this is a hang.
    package var time = Duration.seconds(60)

    package init() {}

    func allows(_ held: Int64, for input: Int) -> Bool {
        held <= bytes + bytesPerByte * Int64(input)
    }
}

/// Something that a parser must not do, with the input.
package struct FuzzFinding: Hashable, Sendable, CustomStringConvertible {
    package let target: String
    package let fault: String
    package let input: [UInt8]

    package var description: String {
        let hex = input.prefix(4096).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
        return "\(target): \(fault); input (\(input.count) bytes): \(hex)"
    }
}

/// What a run did.
package struct FuzzReport: Hashable, Sendable, CustomStringConvertible {
    package let target: String
    package var executions = 0
    package var accepted = 0
    /// Distinct refusals.
    package var refusals = 0
    package var corpus = 0
    /// The most that one execution held at a time, and of how long an input.
    package var mostHeld: Int64 = 0
    package var mostHeldBy = 0
    /// Nanoseconds of the longest execution; other work of the machine counts as well.
    package var slowest: UInt64 = 0
    /// Hash of all inputs, in order: two runs with one seed have the same.
    package var digest = ""
    package var findings: [FuzzFinding] = []

    package var description: String {
        "\(target): \(executions) executions, \(accepted) accepted, \(refusals) kinds of refusals, "
            + "corpus \(corpus), at most \(mostHeld / 1024) KiB held (input of \(mostHeldBy) bytes), "
            + "slowest \(slowest / 1_000_000) ms, \(findings.count) findings"
    }
}

/// One target, fed with inputs that follow from a seed alone.
///
/// Inputs that give a refusal not seen before, or in an instrumented build reach a branch not
/// reached before, become seeds of further ones.
package struct FuzzRun: ~Copyable {
    private static let mostKept = 6_000

    private let target: FuzzTarget
    private let limits: FuzzLimits
    private let tape: FuzzTape
    private var random: FuzzRandom
    private var corpus: [[UInt8]] = []
    private var refusals: Set<String> = []
    private var reached = 0
    private var hash = SHA256()
    package private(set) var report: FuzzReport

    /// Reads the seeds and the hostile inputs first.
    ///
    /// - Parameters:
    ///   - target: what is fed.
    ///   - seed: of all that is drawn.
    ///   - limits: on what one execution takes.
    ///   - corpus: further inputs to begin with.
    /// - Throws: what keeps the tape from being written.
    package init(
        _ target: FuzzTarget, seed: UInt64, limits: FuzzLimits = FuzzLimits(),
        corpus: [[UInt8]] = []
    ) throws {
        self.target = target
        self.limits = limits
        random = FuzzRandom(seed: seed)
        tape = try FuzzTape(target: target.name, limit: limits.time)
        report = FuzzReport(target: target.name)
        probe_forget()
        for seed in target.seeds {
            if case .refused(let reason) = execute(seed) {
                find("a seed is refused: \(reason)", seed)
            }
            self.corpus.append(seed)
        }
        for input in target.hostile {
            if case .accepted = execute(input) { find("a hostile input is accepted", input) }
            self.corpus.append(input)
        }
        for input in corpus {
            _ = execute(input)
            self.corpus.append(input)
        }
    }

    /// The file that holds the input under way, should it end the process.
    package var tapePath: String { tape.path }

    /// Feeds so many inputs.
    package mutating func run(executions: Int) {
        for _ in 0..<executions { step() }
    }

    /// Feeds inputs until a time has gone by.
    package mutating func run(for time: Duration) {
        let end = ContinuousClock.now + time
        while ContinuousClock.now < end { run(executions: 16) }
    }

    package consuming func finish() -> FuzzReport {
        tape.remove()
        report.refusals = refusals.count
        report.corpus = corpus.count
        report.digest = hash.finalize().hex
        return report
    }

    /// What became a seed beside those of the target.
    package var found: [[UInt8]] {
        Array(corpus.dropFirst(target.seeds.count + target.hostile.count))
    }

    private mutating func step() {
        // Half of the time what was found, so that one discovery leads to the next.
        let base =
            random.once(in: 2)
            ? corpus[random.below(corpus.count)]
            : random.once(in: 2)
                ? target.seeds[random.below(target.seeds.count)]
                : corpus[corpus.count - 1 - random.below(min(64, corpus.count))]
        let other = corpus[random.below(corpus.count)]
        var input = Mutator(form: target.form, words: target.words)
            .mutated(base, with: other, &random)
        if let mend = target.mend, !random.once(in: 3), let mended = mend(input, &random) {
            input = mended
        }
        let before = refusals.count
        _ = execute(input)
        var isNew = refusals.count > before
        if probe_counts() {
            let count = probe_reached()
            isNew = isNew || count > reached
            reached = max(reached, count)
        }
        if isNew, corpus.count < Self.mostKept { corpus.append(input) }
    }

    @discardableResult
    private mutating func execute(_ input: [UInt8]) -> ParserOutcome {
        hash.update(input)
        tape.begin(input)
        probe_begin()
        let outcome = target.outcome(of: input)
        let memory = probe_end()
        report.slowest = max(report.slowest, tape.end())
        report.executions += 1
        if memory.peak > report.mostHeld {
            report.mostHeld = memory.peak
            report.mostHeldBy = input.count
        }
        if !limits.allows(memory.peak, for: input.count) {
            find("it held \(memory.peak) bytes", input)
        }
        if !limits.allows(memory.largest, for: input.count) {
            find("it asked for \(memory.largest) bytes at once", input)
        }
        switch outcome {
        case .accepted(let encoded):
            report.accepted += 1
            if let encoded, encoded != input {
                find("it was accepted and encodes to other bytes", input)
            }
        case .refused(let reason): refusals.insert(kind(of: reason))
        }
        return outcome
    }

    private mutating func find(_ fault: String, _ input: [UInt8]) {
        guard report.findings.count < 20 else { return }
        report.findings.append(FuzzFinding(target: target.name, fault: fault, input: input))
    }
}

/// The first words of a refusal, without numbers and names, so that one rule counts once.
private func kind(of reason: String) -> String {
    let letters = reason.utf8.prefix(400).split(separator: UInt8(ascii: " ")).filter { word in
        word.count <= 14
            && word.allSatisfy { (97...122).contains($0) || $0 == UInt8(ascii: ",") }
    }
    let words = letters.prefix(10).map { String(decoding: $0, as: UTF8.self) }
    // Errors without a sentence are told by their case.
    return words.count > 1 ? words.joined(separator: " ") : String(reason.prefix { $0 != "(" })
}

/// The hex digits of a file, white space aside.
package func bytes(hexadecimal text: String) -> [UInt8]? {
    let digits = text.filter { !$0.isWhitespace }
    guard digits.count.isMultiple(of: 2) else { return nil }
    var (bytes, place) = ([UInt8](), digits.startIndex)
    while place < digits.endIndex {
        let next = digits.index(place, offsetBy: 2)
        guard let byte = UInt8(digits[place..<next], radix: 16) else { return nil }
        bytes.append(byte)
        place = next
    }
    return bytes
}
