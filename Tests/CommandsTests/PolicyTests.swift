import Commands
import Contracts
import Foundation
import Ledger
import Node
import TestSupport
import Testing
import Wire

/// A field of a message in `genesis.proto`.
private struct SchemaField {
    let name: String
    let type: String
    let number: UInt8
    let comment: String

    /// The field alone, with a value that is not its default.
    var bytes: [UInt8] {
        switch type {
        case "string": sized(number, Array("treasurer/office".utf8))
        case "DeveloperShare": sized(number, sized(1, Array("developer/x".utf8)) + tag(2, 0) + [7])
        default: tag(number, 0) + [77]
        }
    }
}

private func sized(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
    tag(number, 2) + [UInt8(content.count)] + content
}

private func tag(_ number: UInt8, _ kind: UInt8) -> [UInt8] {
    let value = UInt32(number) << 3 | UInt32(kind)
    return value < 128 ? [UInt8(value)] : [UInt8(value & 127) | 128, UInt8(value >> 7)]
}

private func schema(of message: String) throws -> [SchemaField] {
    let text = try String(
        contentsOf: repositoryFile("Protocols/genesis.proto"), encoding: .utf8)
    let body = try #require(text.components(separatedBy: "message \(message) {").last)
        .prefix { $0 != "}" }
    return body.matches(of: /(?m)^  (?:repeated )?(\w+) (\w+) = (\d+);(.*)$/).compactMap { match in
        guard let number = UInt8(match.3) else { return nil }
        return SchemaField(
            name: String(match.2), type: String(match.1), number: number,
            comment: String(match.4))
    }
}

@Suite("Policies")
struct PolicyTests {
    /// What is shown of an agreement that holds one field of one section, or nothing.
    private func shown(_ field: SchemaField? = nil, in section: UInt8 = 5) throws -> [String] {
        let content = field.map { sized(4, sized(section, $0.bytes)) } ?? []
        let agreement = try WireGenesis(strictly: content).agreement
        let report = PolicyReport(of: agreement, height: 1, term: 1, firstHeight: 1)
        return [String(decoding: try reportJSON(report), as: UTF8.self), policyText(report)]
    }

    /// Whether a field of the annotation or training rule moves money or sets a window.
    private func isPolicy(_ field: SchemaField) -> Bool {
        field.comment.contains("heights")
            || ["window", "fee", "microtokens", "stake", "period", "deadline", "points"].contains {
                field.name.contains($0)
            }
    }

    @Test("every parameter of money and windows that the schema has is shown, in both formats")
    func everyParameter() throws {
        let nothing = try shown()
        let sections: [(String, UInt8, (SchemaField) -> Bool)] = [
            ("RewardRule", 5, { _ in true }), ("AnnotationRule", 3, isPolicy),
            ("TrainingRule", 4, isPolicy),
        ]
        var names: [String] = []
        for (message, section, isShown) in sections {
            for field in try schema(of: message) where isShown(field) {
                let changed = try shown(field, in: section)
                #expect(changed[0] != nothing[0] && changed[1] != nothing[1], "\(field.name)")
                names.append(field.name)
            }
        }
        let known = [
            "stake_microtokens", "treasurer", "developers", "later_fee_microtokens",
            "secret_window", "gold_window", "commit_window", "round_deadline",
        ]
        #expect(names.count >= 19 && Set(names).isSuperset(of: known))
    }

    @Test("what-if names what differs in the file and cannot be tried")
    func ignored() throws {
        let folder = repositoryFile("Protocols/agreements")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil
        ).filter { $0.pathExtension == "yaml" }
        #expect(!files.isEmpty)
        for file in files {
            let text = try String(contentsOf: file, encoding: .utf8)
            let agreement = try readAgreement(text: text, file: "a.yaml")
            let same = try readPolicy(text: text, file: "a.yaml")
            #expect(same.ignored(beside: agreement).isEmpty, "\(file.lastPathComponent)")
            #expect(same.rewards == agreement.rewards)
            var other = agreement
            other.annotation.commitWindow += 5
            other.training.l2Millionths += 1
            other.study = "another"
            other.rewards.appealWindow += 1
            #expect(
                same.ignored(beside: other).map { String($0.prefix { $0 != " " }) } == [
                    "study", "annotation.commitWindow", "training.l2",
                ])
        }
        var report = try whatIf(
            testAgreement().rewards, on: ReportLedger(testAgreement()).store)
        #expect(!whatIfText(report).contains("ignored"))
        report.ignored = ["annotation.commitWindow 8 (in force: 4)"]
        #expect(whatIfText(report).hasPrefix("ignored (only rewards and laterFee are tried): ann"))
    }

    @Test("a policy's fee of late answers is tried; it alone of the annotation rule")
    func laterFee() throws {
        let ledger = try ReportLedger.drawnStudy()
        try ledger.reverse("east/101")
        let rewards = ledger.consortium.agreement.rewards
        let same = try whatIf(rewards, on: ledger.store)
        #expect(same.accounts.isEmpty && same.changedOutcomes == 0)
        let other = try whatIf(rewards, laterFee: 51_000, on: ledger.store)
        #expect(other.changedOutcomes == 0)
        #expect(
            other.accounts.map { "\($0.name) \($0.difference)" } == [
                "annotator/north-s1 +0.050000", "annotator/west-s1 +0.050000",
                "reserve/consortium -0.100000",
            ])
        let text = try String(
            contentsOf: repositoryFile("Protocols/agreements/lung-nodules.yaml"), encoding: .utf8)
        let fee = "  laterFee: \"0.051\"\n  panel:"
        let policy = try readPolicy(
            text: text.replacing("  panel:", with: fee), file: "p.yaml")
        #expect(policy.laterFee == 51_000)
        #expect(throws: InputFault.self) {
            try readPolicy(
                text: text.replacing("  panel:", with: "  laterFee: \"5e3\"\n  panel:"),
                file: "p.yaml")
        }
    }
}
