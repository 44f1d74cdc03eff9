import ArgumentParser
import Contracts

enum LabelRuleName: String, CaseIterable, ExpressibleByArgument {
    case `class`, ordinal
}

extension ConsensusCommand {
    struct Score: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run score/1 and a consensus rule on a plain file of labels.",
            discussion: """
                LABELS has the columns item,annotator,label (task and worker will do). No network \
                and no home are needed. Prints the label of every item with its posterior, every \
                annotator's accuracy and agreement beyond chance, and Krippendorff's alpha: as an \
                exact fraction, nominal for classes, ordinal for grades. Classes and items that \
                are whole numbers stand in their order, others by their bytes. Among numbers, NaN or inf \
                is a label that is missing, and refused.

                Example: tally consensus score labels.csv --truth truth.csv --format json
                """)

        @Argument(help: "A table of labels.", completion: .file(extensions: ["csv"]))
        var labels: String
        @Option(help: "True labels, item,truth, to take the accuracy against.")
        var truth: String?
        @Option(help: "True labels, item,truth, that count five times in the scores.")
        var gold: String?
        @Option(help: "How labels become one: class (the likeliest) or ordinal (lower median).")
        var rule: LabelRuleName = .class
        @Option(help: "All classes in order, with commas; else those that stand in LABELS.")
        var classes: String?
        @Option(parsing: .unconditional, help: "Answers that an item needs.")
        var minimumAnswers: UInt32 = 3
        @Option(
            parsing: .unconditional,
            help: "Class rule: answers that the label itself needs; without it, 2.")
        var minimumVotes: UInt32?
        @Option(
            parsing: .unconditional,
            help: "Class rule: how likely the label must be, in per mille; without it, 950.")
        var posterior: UInt64?
        @Option(help: "Ordinal rule: the share of answers near the median; without it, 2/3.")
        var nearShare: String?
        @Option(
            parsing: .unconditional,
            help: "Ordinal rule: how many grades away is still near; without it, 1.")
        var nearDistance: UInt32?
        @Option(
            parsing: .unconditional,
            help: "Ordinal rule: how far apart two answers may be; without it, 2.")
        var maximumSpread: UInt32?
        @OptionGroup var output: FormatOptions

        func validate() throws {
            try checkOptionsOfRule()
            guard posterior ?? 0 <= 1000 else {
                throw ValidationError("--posterior is in per mille, 0 to 1000")
            }
            _ = try share()
            if let names = try scale() {
                guard (2...255).contains(names.count) else {
                    throw ValidationError("--classes needs 2 to 255 classes")
                }
                guard Set(names).count == names.count, !names.contains("") else {
                    throw ValidationError("--classes must name each class once")
                }
            }
        }

        /// Refuses an option of the other rule: whoever gave it believes that it does something.
        private func checkOptionsOfRule() throws {
            let given: [(option: String, rule: LabelRuleName, isGiven: Bool)] = [
                ("--minimum-votes", .class, minimumVotes != nil),
                ("--posterior", .class, posterior != nil),
                ("--near-share", .ordinal, nearShare != nil),
                ("--near-distance", .ordinal, nearDistance != nil),
                ("--maximum-spread", .ordinal, maximumSpread != nil),
            ]
            guard let foreign = given.first(where: { $0.isGiven && $0.rule != rule }) else {
                return
            }
            throw ValidationError(
                "\(foreign.option) is an option of --rule \(foreign.rule.rawValue), and the rule is "
                    + "\(rule.rawValue); leave it out, or name that rule")
        }

        private func scale() throws -> [String]? {
            classes?.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }

        private func share() throws -> (numerator: UInt64, denominator: UInt64) {
            let parts = (nearShare ?? "2/3").split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2, let numerator = UInt32(parts[0]),
                let denominator = UInt32(parts[1]), denominator > 0, numerator <= denominator
            else { throw ValidationError("--near-share must be a fraction such as 2/3") }
            return (UInt64(numerator), UInt64(denominator))
        }

        private func labelRule() throws -> LabelRule {
            switch rule {
            case .class:
                return .classes(
                    ClassRule(
                        minimumAnswers: UInt64(minimumAnswers),
                        minimumVotes: UInt64(minimumVotes ?? 2), posteriorPermille: posterior ?? 950
                    ))
            case .ordinal:
                let share = try share()
                return .ordinal(
                    OrdinalRule(
                        minimumAnswers: Int(minimumAnswers), tolerance: UInt(nearDistance ?? 1),
                        support: share.numerator, outOf: share.denominator,
                        spread: UInt(maximumSpread ?? 2)))
            }
        }

        func run() async throws {
            let truth = try truth.map { try TruthTable(bytes: readFile($0), file: $0) }
            let gold = try gold.map { try TruthTable(bytes: readFile($0), file: $0) }
            let table = try LabelTable(
                bytes: readFile(labels), file: labels, scale: scale(),
                isOrdinal: rule == .ordinal)
            let consensus = try LabelConsensus(
                table, rule: labelRule(), gold: gold, truth: truth)
            switch output.format {
            case .json: try printBytes(consensus.json)
            case .table: try printBytes(consensus.text)
            }
        }
    }
}
