import Commands
import Foundation
import Ledger
import TestSupport
import Testing
import Wire

/// A change to the study's agreement that must be refused, in which line, and why.
private struct BadAgreement: Sendable, CustomTestStringConvertible {
    let old: String
    let new: String
    let place: String

    var testDescription: String { "\(old) → \(new)" }

    init(_ old: String, _ new: String, _ place: String) {
        self.old = old
        self.new = new
        self.place = place
    }
}

private func lungNodulesAgreement() throws -> String {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Protocols/agreements/lung-nodules.yaml")
    return try String(contentsOf: file, encoding: .utf8)
}

@Suite("The agreement in YAML")
struct AgreementFileTests {
    @Test("the study's agreement is read key by key")
    func reads() throws {
        let agreement = try readAgreement(text: lungNodulesAgreement(), file: "a.yaml")
        #expect(agreement.study == "lung-nodules")
        #expect(agreement.chain.blockIntervalMs == 50)
        #expect(agreement.annotation.nearShareNumerator == 2)
        #expect(agreement.annotation.nearShareDenominator == 3)
        #expect(agreement.training.features.count == 10)
        #expect(agreement.training.learningRateMillionths == 200_000)
        #expect(agreement.training.normBoundMillionths == 100_000_000)
        #expect(agreement.training.hiddenUnits == 0)
        #expect(agreement.rewards.supplyMicrotokens == 1_000_000_000_000)
        #expect(agreement.rewards.roundPoolMicrotokens == 1_000_000_000)
        #expect(agreement.rewards.stakeMicrotokens == 10_000_000)
        #expect(agreement.rewards.developers.map(\.account) == ["developer/model-team"])
    }

    /// The study's agreement with other lines about answers.
    private func agreement(asking lines: String...) throws -> String {
        let kept = try lungNodulesAgreement().split(
            separator: "\n", omittingEmptySubsequences: false
        )
        .filter { line in
            !["answer", "classes", "nearShare", "nearDistance", "maximumSpread"].contains {
                line.hasPrefix("  \($0):")
            }
        }
        .joined(separator: "\n")
        return kept.replacing(
            "  panel:", with: (lines.map { "  \($0)\n" } + ["  panel:"]).joined()
        ).replacing("positiveAbove: 3", with: "positiveAbove: 1")
            .replacing("negativeBelow: 3", with: "negativeBelow: 2")
    }

    @Test("each kind of answer has thresholds of its own")
    func answerKinds() throws {
        func rule(_ text: String) throws -> WireAnnotationRule {
            try readAgreement(text: text, file: "a.yaml").annotation
        }
        let classes = try rule(
            agreement(
                asking: "answer: class", "classes: 2", "labels: [benign, very bad]",
                "posterior: 950", "minimumVotes: 2"))
        #expect(classes.labels == ["benign", "very bad"] && classes.posteriorPermille == 950)
        #expect(classes.minimumVotes == 2)
        let measured = try rule(
            agreement(
                asking: "answer: measurement", "nearShare: \"2/3\"", "absoluteTolerance: \"1.5\"",
                "relativeTolerance: 100", "cut: \"-0.25\""))
        #expect(measured.absoluteTolerance == 1500 && measured.relativeTolerancePermille == 100)
        #expect(measured.cut == -250 && measured.classes == 0)
        let boxes = try rule(
            agreement(
                asking: "answer: boxes", "classes: 1", "labels: [cell]", "overlap: 500",
                "agreement: 700"))
        #expect(boxes.overlapPermille == 500 && boxes.agreementPermille == 700)
        let masks = try rule(agreement(asking: "answer: masks", "agreement: 800"))
        #expect(masks.classes == 1 && masks.agreementPermille == 800 && masks.labels.isEmpty)
    }

    @Test("thresholds that are of another kind, or out of range, are refused")
    func answerRefusals() throws {
        func told(_ lines: String...) throws -> String {
            do {
                _ = try readAgreement(
                    text: try agreement(asking: lines.joined(separator: "\n  ")), file: "a.yaml")
                return "no refusal"
            } catch let fault as InputFault { return fault.description }
        }
        let measurement = ["answer: measurement", "nearShare: \"2/3\"", "cut: \"0\""]
            .joined(separator: "\n  ")
        let rows = [
            (try told("answer: masks", "agreement: 800", "overlap: 1"), "overlap is not known"),
            (try told("answer: masks", "agreement: 1001"), "agreement must be 1 to 1000"),
            (try told("answer: boxes", "classes: 1", "agreement: 700"), "overlap is missing"),
            (
                try told(measurement, "absoluteTolerance: \"-1\"", "relativeTolerance: 0"),
                "absoluteTolerance must not be below 0"
            ),
            (
                try told(measurement, "absoluteTolerance: \"0\"", "relativeTolerance: 0"),
                "absoluteTolerance must be above zero when relativeTolerance is zero"
            ),
            (
                try told("answer: sound", "agreement: 1"),
                "annotation.answer must be class, ordinal, measurement, boxes, masks"
            ),
        ]
        for (told, words) in rows { #expect(told.contains(words), "\(told)") }
    }

    private static let changes = [
        BadAgreement("  classes: 5", "  clases: 5", "annotation.clases is not known"),
        BadAgreement("  classes: 5", "", "annotation.classes is missing"),
        BadAgreement("  classes: 5", "  classes: five", "annotation.classes must be a whole"),
        BadAgreement("  classes: 5", "  classes: \"5\"", "annotation.classes must be a whole"),
        BadAgreement("  classes: 5", "  classes: -5", "annotation.classes must be a whole"),
        BadAgreement("  classes: 5", "  classes: 5.0", "annotation.classes must be a whole"),
        BadAgreement("  classes: 5", "  classes: 4294967296", "annotation.classes must be"),
        BadAgreement("  classes: 5", "  classes: [5]", "annotation.classes must be a whole"),
        BadAgreement("  classes: 5", "  classes: 1", "annotation.classes must be 2 to 64"),
        BadAgreement("\"0.2\"", "0.2", "training.learningRate must be a decimal number in quotes"),
        BadAgreement("\"0.2\"", "\"0,2\"", "training.learningRate must be a decimal"),
        BadAgreement("\"0.2\"", "\"0.2000001\"", "training.learningRate must be a decimal"),
        BadAgreement("\"0.2\"", "\"2e-1\"", "training.learningRate must be a decimal"),
        BadAgreement("\"0.2\"", "\"-0.2\"", "training.learningRate must be a decimal"),
        BadAgreement("\"1000000\"", "1000000", "rewards.supply must be a decimal"),
        BadAgreement("\"1000000\"", "\"99999999999999\"", "rewards.supply is too large"),
        BadAgreement("\"2/3\"", "\"2:3\"", "annotation.nearShare must be a fraction"),
        BadAgreement("\"2/3\"", "\"4/3\"", "annotation.nearShare must be a fraction"),
        BadAgreement("majorityQuorum: false", "majorityQuorum: maybe", "chain.majorityQuorum"),
        BadAgreement("    - subtlety", "    - [subtlety]", "training.features[0] must be a text"),
        BadAgreement("    - subtlety", "    - margin", "training.features must each be named once"),
        BadAgreement("    - account:", "    - acount:", "rewards.developers[0].acount is not"),
        BadAgreement("weight: 1 ", "weight: one ", "rewards.developers[0].weight must be"),
        BadAgreement("patients: 4000", "patients: 3900", "rewards.split sums to 9900"),
        BadAgreement("study: lung-nodules", "study: lung nodules", "study must be"),
        BadAgreement("chain:\n", "chain: none\nchian:\n", "chain"),
        BadAgreement("seed: 1 ", "seed: 1\n  seed: 2 ", "seed stands twice"),
        BadAgreement("features:  ", "features: \t:\n  ", "is not YAML"),
    ]

    @Test("a change is refused by its place", arguments: changes)
    fileprivate func refused(change: BadAgreement) throws {
        let text = try lungNodulesAgreement()
        #expect(text.contains(change.old))
        let fault = #expect(throws: InputFault.self) {
            try readAgreement(
                text: text.replacing(change.old, with: change.new, maxReplacements: 1),
                file: "a.yaml")
        }
        #expect(
            fault?.description.contains(change.place) == true, "\(fault?.description ?? "none")")
        #expect(fault?.file == "a.yaml")
    }

    @Test("the line of a mistyped key is named")
    func line() throws {
        let text = try lungNodulesAgreement()
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let expected = lines.firstIndex { $0.contains("learningRate:") }.map { $0 + 1 }
        let fault = #expect(throws: InputFault.self) {
            try readAgreement(
                text: text.replacing("learningRate:", with: "learningrate:"), file: "a.yaml")
        }
        #expect(fault?.line == expected)
    }

    @Test("aliases are read; so many that they could stand for a world are refused")
    func aliases() throws {
        let text = try lungNodulesAgreement()
            .replacing("study: lung-nodules", with: "study: &name lung-nodules")
            .replacing("- subtlety", with: "- *name")
        let features = try readAgreement(text: text, file: "a.yaml").training.features
        #expect(features.first == "lung-nodules")
        // Stars are counted wherever they stand: nobody has to tell a comment from a text.
        func stars(_ count: Int) -> String { text + "#" + String(repeating: " *a", count: count) }
        #expect(throws: Never.self) { try readAgreement(text: stars(7) + " 2 * 3\n", file: "a") }
        let fault = #expect(throws: InputFault.self) {
            try readAgreement(text: stars(8), file: "a.yaml")
        }
        #expect(fault?.reason.contains("more than 8 aliases") == true)
        #expect(fault?.line == text.split(separator: "\n", omittingEmptySubsequences: false).count)
    }

    @Test("an empty file, and one that is no mapping", arguments: ["", "# nothing\n", "- a\n"])
    func shapeless(text: String) {
        #expect(throws: InputFault.self) { try readAgreement(text: text, file: "a.yaml") }
    }

    @Test(
        "decimal strings are millionths, exactly",
        arguments: [("0", 0), ("0.000001", 1), ("12.5", 12_500_000), ("007.10", 7_100_000)])
    func decimals(text: String, millionths: UInt64) throws {
        let agreement = try readAgreement(
            text: lungNodulesAgreement().replacing("l2: \"0\"", with: "l2: '\(text)'"),
            file: "a.yaml")
        #expect(agreement.training.l2Millionths == millionths)
    }
}
