import Commands
import Contracts
import Foundation
import Ledger
import Node
import TestSupport
import Testing
import Wire

/// Whatever answers there are: what is written for another program is read back bit for bit.
@Suite("Answers written and read again")
struct AnswerRoundTripTests {
    private struct Study {
        let rule: WireAnnotationRule
        let entries: [ConsensusEntry]

        var source: AnswerSource { AnswerSource(file: "f", rule: rule) }
        var answers: [ItemID: Answer] {
            Dictionary(
                entries.map { ($0.item, $0.answer) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// Names that agreements take and that other programs might mistake for something else.
    private static let names = [
        "Läsion α", "肿瘤", "it's", "a;b", "=1+1", "e\u{301}tat", "👩🏽‍⚕️", "2", "1", "null", "true",
        "-", "[x]", "{\"".replacingOccurrences(of: "\"", with: "'"), "back\\slash", "a/b", "NaN",
        "\u{202E}abc",
    ]

    private static func rule(
        _ kind: AnswerKind, using random: inout SplitMix64
    ) -> WireAnnotationRule {
        var rule = WireAnnotationRule()
        rule.answer = kind.rawValue
        rule.classes = kind == .masks ? 1 : UInt32.random(in: 2...9, using: &random)
        if kind == .measurement { rule.classes = 0 }
        if kind != .measurement, Bool.random(using: &random) {
            rule.labels = Array(names.shuffled(using: &random).prefix(Int(rule.classes)))
        }
        return rule
    }

    /// A side of an image: often a single pixel.
    private static func side(using random: inout SplitMix64) -> UInt32 {
        Bool.random(using: &random)
            ? UInt32.random(in: 1...4, using: &random)
            : .random(
                in: 5...90, using: &random)
    }

    /// An edge in thousandths, often that of the image or a thousandth beside it.
    private static func span(
        _ side: UInt32, using random: inout SplitMix64
    ) -> (UInt32, UInt32) {
        let end = 1_000 * side
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return (0, end)
        case 1: return (end - 1, end)
        case 2: return (0, 1)
        default:
            let low = UInt32.random(in: 0..<end, using: &random)
            return (low, .random(in: low + 1...end, using: &random))
        }
    }

    private static func mask(
        _ size: ImageSize, using random: inout SplitMix64
    ) throws -> RunMask {
        let pixels = size.pixels
        let runs: [UInt32]
        switch Int.random(in: 0..<6, using: &random) {
        case 0: runs = [pixels]
        case 1: runs = [0, pixels]
        case 2:
            let only = UInt32.random(in: 0..<pixels, using: &random)
            runs = [only, 1, pixels - only - 1]
        case 3: runs = (0..<pixels).map { _ in 1 }
        default:
            let most = UInt32.random(in: 1...40, using: &random)
            var (lengths, left) = (
                [UInt32.random(in: 0...min(most, pixels), using: &random)], pixels
            )
            left -= lengths[0]
            while left > 0 {
                let length = UInt32.random(in: 1...min(most, left), using: &random)
                lengths.append(length)
                left -= length
            }
            runs = lengths
        }
        return try #require(RunMask(size: size, joining: runs))
    }

    private static func answer(
        _ rule: WireAnnotationRule, _ size: ImageSize, using random: inout SplitMix64
    ) throws -> Answer {
        switch rule.kind {
        case .class, .ordinal: return .grade(.random(in: 1...rule.classes, using: &random))
        case .measurement:
            let bits = Int64.random(in: 0...62, using: &random)
            return .measurement(.random(in: -(1 << bits)...1 << bits, using: &random))
        case .boxes:
            let boxes = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                let (left, right) = span(size.width, using: &random)
                let (top, bottom) = span(size.height, using: &random)
                return Box(
                    label: .random(in: 1...rule.classes, using: &random), left: left, top: top,
                    right: right, bottom: bottom)
            }
            return .boxes(
                try #require(BoxSet(size: size, boxes: Set(boxes).sorted())))
        case .masks: return .mask(try mask(size, using: &random))
        }
    }

    private static func study(_ kind: AnswerKind, seed: UInt64) throws -> Study {
        var random = SplitMix64(seed: seed)
        let rule = rule(kind, using: &random)
        // Names that contain one another, or look like what programs put before and behind names.
        let items = ["east/a", "north/a", "north/a.png", "north/0a1b2c3d-a", "north/b.1", "west/-"]
        let entries = try items.map { name in
            let size = try #require(
                ImageSize(width: side(using: &random), height: side(using: &random)))
            return ConsensusEntry(
                item: try itemID(name), answer: try answer(rule, size, using: &random),
                size: kind.isImage ? size : nil)
        }
        return Study(rule: rule, entries: entries)
    }

    /// What a reader with all of the study's items would commit to.
    private static func committed(_ bytes: [UInt8], _ study: Study) throws -> [ItemID: Answer] {
        let rows = try resolve(
            readAnswers(bytes, study.source),
            among: study.entries.map { (item: $0.item, size: $0.size) }, study.source,
            reader: "annotator/north-1")
        return Dictionary(
            rows.map { ($0.item, $0.answer) }, uniquingKeysWith: { first, _ in first })
    }

    /// The same COCO file with its run lengths packed into texts, as most programs write them.
    private static func packed(_ bytes: [UInt8]) throws -> [UInt8] {
        var file = try #require(
            JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        let annotations = try #require(file["annotations"] as? [[String: Any]])
        file["annotations"] = try annotations.map { annotation in
            var (annotation, segmentation) = (
                annotation, try #require(annotation["segmentation"] as? [String: Any])
            )
            let counts = try #require(segmentation["counts"] as? [Int])
            segmentation["counts"] = counts.indices.map { place in
                letters(counts[place] - (place > 2 ? counts[place - 2] : 0))
            }.joined()
            annotation["segmentation"] = segmentation
            return annotation
        }
        return [UInt8](try JSONSerialization.data(withJSONObject: file))
    }

    /// Five bits a letter, the lowest first, until only the sign is left.
    private static func letters(_ number: Int) -> String {
        var (rest, text) = (number, "")
        while true {
            let bits = rest & 0x1F
            rest >>= 5
            let isLast = bits & 0x10 == 0 ? rest == 0 : rest == -1
            text.unicodeScalars.append(
                Unicode.Scalar(UInt8(48 + bits + (isLast ? 0 : 0x20))))
            if isLast { return text }
        }
    }

    @Test("as a table", arguments: AnswerKind.allCases)
    func tables(kind: AnswerKind) throws {
        for seed in UInt64(0)..<100 {
            let study = try Self.study(kind, seed: seed)
            let read = try Self.committed(consensusTable(study.entries, study.rule), study)
            #expect(read == study.answers, "seed \(seed)")
        }
    }

    @Test(
        "as a COCO file, its run lengths as they are or packed",
        arguments: [AnswerKind.boxes, .masks])
    func coco(kind: AnswerKind) throws {
        for seed in UInt64(0)..<100 {
            let study = try Self.study(kind, seed: seed)
            let file = try consensusCOCO(study.entries, study.rule)
            #expect(try Self.committed(file, study) == study.answers, "seed \(seed)")
            guard kind == .masks else { continue }
            #expect(try Self.committed(Self.packed(file), study) == study.answers, "seed \(seed)")
        }
    }

    @Test("as Label Studio tasks", arguments: AnswerKind.allCases)
    func tasks(kind: AnswerKind) throws {
        for seed in UInt64(0)..<100 {
            let study = try Self.study(kind, seed: seed)
            let longest =
                study.entries.map { entry -> UInt64 in
                    if case .measurement(let value) = entry.answer { value.magnitude } else { 0 }
                }.max() ?? 0
            guard longest < 1 << 53 else {
                #expect(throws: CommandFault.self, "seed \(seed)") {
                    try consensusTasks(study.entries, study.rule)
                }
                continue
            }
            // From 2⁴³ on two numbers with three decimals may be one number of JSON.
            guard longest < 1_000 << 43 else { continue }
            let read = try Self.committed(consensusTasks(study.entries, study.rule), study)
            #expect(read == study.answers, "seed \(seed)")
        }
    }

    private static var classes: WireAgreement {
        var agreement = drawnAgreement("class")
        agreement.annotation.posteriorPermille = 700
        agreement.annotation.minimumVotes = 2
        agreement.annotation.nearShareNumerator = 0
        agreement.annotation.nearShareDenominator = 0
        agreement.annotation.nearDistance = 0
        agreement.annotation.maximumSpread = 0
        return agreement
    }

    @Test("a label that a table could not hold stands in no agreement")
    func labels() throws {
        for name in Self.names {
            var agreement = Self.classes
            agreement.annotation.labels = ["x", name, "y", "z", "w"]
            #expect(throws: Never.self, "\(name)") {
                try Genesis(strictly: testGenesis(agreement))
            }
        }
        for name in ["a,b", "say \"a\"", " a", "a ", "a\nb", ""] {
            var agreement = Self.classes
            agreement.annotation.labels = ["x", name, "y", "z", "w"]
            #expect(throws: (any Error).self, "\(name)") {
                try Genesis(strictly: testGenesis(agreement))
            }
        }
    }
}
