import ArgumentParser
import Contracts
import Cryptography
import Foundation

@main
struct LabelBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label-benchmark",
        abstract: "Time score/1 on a million drawn labels.",
        discussion: """
            Prints the time of the sweeps, the peak memory of the process, and the hash of all \
            posteriors, which is the same in every run and on every machine. With --out the same \
            labels are written as a table, to time `tally consensus score` on.

            Example: label-benchmark --out labels.csv && time tally consensus score labels.csv
            """)

    @Option(help: "How many items.")
    var items = 200_000
    @Option(help: "Labels of each item.")
    var perItem = 5
    @Option(help: "Annotators.")
    var annotators = 100
    @Option(help: "Classes.")
    var classes = 4
    @Option(help: "Sweeps.")
    var sweeps = 20
    @Option(help: "Of the drawn labels.")
    var seed: UInt64 = 1
    @Option(help: "Write the labels as a table instead of scoring them.")
    var out: String?

    func validate() throws {
        guard (1...10_000_000).contains(items), (2...255).contains(classes),
            (1...100_000).contains(annotators), (1...annotators).contains(perItem),
            (0...1_000).contains(sweeps)
        else {
            throw ValidationError(
                "1 to 10000000 items, 2 to 255 classes, 1 to 100000 annotators, at least as many "
                    + "as labels of an item, at most 1000 sweeps")
        }
    }

    func run() throws {
        let answers = drawn()
        if let out { return try write(answers, to: out) }
        let clock = ContinuousClock()
        let start = clock.now
        let grid = try AnswerGrid(
            classes: classes, annotators: annotators, items: items, answers: answers)
        let score = try scoreGrid(grid, sweeps: sweeps)
        let time = clock.now - start
        var hasher = SHA256()
        score.shares.withUnsafeBytes { hasher.update($0) }
        print("labels       \(answers.count)")
        print("items        \(items)")
        print("annotators   \(annotators)")
        print("classes      \(classes)")
        print("sweeps       \(sweeps)")
        print("seconds      \(String(format: "%.3f", time / .seconds(1)))")
        print("peak memory  \(peakMegabytes) MB")
        print("posteriors   \(hasher.finalize().hex)")
    }

    /// Annotators of every skill; item i is read by `perItem` of them, drawn without repetition.
    private func drawn() -> [IndexedAnswer] {
        var random = SplitMix64(state: seed)
        var answers: [IndexedAnswer] = []
        answers.reserveCapacity(items * perItem)
        for item in 0..<items {
            let truth = Int(random.next() % UInt64(classes))
            let first = Int(random.next() % UInt64(annotators))
            for place in 0..<perItem {
                let annotator = (first + place) % annotators
                let isSure = random.next() % 1_000 < 400 + UInt64(annotator * 500 / annotators)
                let answer = isSure ? truth : Int(random.next() % UInt64(classes))
                answers.append(
                    IndexedAnswer(
                        item: Int32(item), annotator: Int32(annotator), answer: Int32(answer)))
            }
        }
        return answers
    }

    private func write(_ answers: [IndexedAnswer], to path: String) throws {
        var text = "item,annotator,label\n"
        text.reserveCapacity(answers.count * 20)
        for answer in answers {
            text += "\(answer.item),a\(answer.annotator),c\(answer.answer)\n"
        }
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    private var peakMegabytes: Int {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        return usage.ru_maxrss / 1024  // Linux counts it in kilobytes
    }
}

/// Steele, Lea & Flood's generator (OOPSLA 2014): one seed, one table of labels.
private struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
