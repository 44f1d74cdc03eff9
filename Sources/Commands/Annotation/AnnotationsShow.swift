import ArgumentParser
import Contracts
import Node
package import Wire

/// What stands in a file of answers.
package struct AnswersReport: Codable {
    struct Entry: Codable {
        let item: String
        /// In words.
        let answer: String
        /// Pixels inside a mask.
        @OrNull var area: UInt64?
        /// Left, top, width, height in pixels around a mask.
        @OrNull var box: [UInt32]?
        let boxes: [DrawnBox]
    }
    let answers: [Entry]

    package init(_ rows: [AnswerRow], _ rule: WireAnnotationRule) {
        answers = rows.map { entry($0, rule) }
    }

    /// An item a line; of several boxes each has its own.
    package var text: String {
        var table = Table("item", "answer", "area", "left,top,right,bottom")
        for entry in answers {
            for box in entry.boxes { table.add(entry.item, box.label, "-", box.edges) }
            guard entry.boxes.isEmpty else { continue }
            table.add(
                entry.item, entry.answer, entry.area.map { "\($0)" } ?? "-",
                entry.box.map { "\($0[0]),\($0[1]),\($0[0] + $0[2]),\($0[1] + $0[3])" } ?? "-")
        }
        return table.text
    }
}

/// A box in pixels.
struct DrawnBox: Codable {
    let label: String
    let left: Double
    let top: Double
    let width: Double
    let height: Double

    /// Left, top, right and bottom as a table of boxes has them.
    fileprivate var edges: String {
        [left, top, left + width, top + height]
            .map { decimalText(thousandths: Int64(($0 * 1000).rounded())) }.joined(separator: ",")
    }
}

extension AnnotationsCommand {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what a file of answers holds; nothing is sent.",
            discussion: """
                Reads FILE as `tally annotate` does, without a network: a table, a COCO file, or a \
                Label Studio export. Boxes stand there one a line, masks with the edges around them.

                Example: tally annotations show expert1.json --answer masks
                """)

        @Argument(
            help: "A table, a COCO file or a Label Studio export.",
            completion: .file(extensions: ["csv", "json"]))
        var file: String
        @Option(help: "What is asked for: class, ordinal, measurement, boxes or masks.")
        var answer: String
        @Option(
            parsing: .unconditional, help: "How many classes there are, when they have no names.")
        var classes: UInt32 = 64
        @Option(help: "The names of the classes in order, with commas.")
        var labels: String?
        @Option(
            help: "Whose column of a wide table, or annotations of an export of several people.")
        var annotator: String?
        @Option(help: "Which of several questions of a Label Studio export is meant.")
        var control: String?
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard AnswerKind(rawValue: answer) != nil else {
                throw ValidationError(
                    "--answer is class, ordinal, measurement, boxes or masks, not \(answer)")
            }
        }

        func run() async throws {
            var rule = WireAnnotationRule()
            rule.answer = answer
            rule.labels = labels?.split(separator: ",").map(String.init) ?? []
            rule.classes = rule.labels.isEmpty ? classes : UInt32(rule.labels.count)
            let rows = try readAnswers(
                readFile(file),
                AnswerSource(file: file, rule: rule, annotator: annotator, control: control))
            let report = AnswersReport(rows, rule)
            try output.show(report, \.text)
        }
    }
}

private func entry(_ row: AnswerRow, _ rule: WireAnnotationRule) -> AnswersReport.Entry {
    var entry = AnswersReport.Entry(
        item: row.name, answer: row.answer.map { answerText($0, rule) } ?? "nothing drawn",
        area: nil, box: nil, boxes: row.answer.map { drawnBoxes($0, rule) } ?? [])
    if case .mask(let mask) = row.answer {
        entry.area = mask.area
        entry.box = mask.bounds.map {
            [$0.left, $0.top, $0.right - $0.left, $0.bottom - $0.top]
        }
    }
    return entry
}

/// The boxes of an answer; none for another kind.
func drawnBoxes(_ answer: Answer, _ rule: WireAnnotationRule) -> [DrawnBox] {
    guard case .boxes(let set) = answer else { return [] }
    return set.boxes.map { box in
        DrawnBox(
            label: answerText(.grade(box.label), rule), left: Double(box.left) / 1000,
            top: Double(box.top) / 1000, width: Double(box.right - box.left) / 1000,
            height: Double(box.bottom - box.top) / 1000)
    }
}
