import Commands
import Contracts
import Foundation
import Ledger
import TestSupport
import Training
import Wire

extension FuzzTarget {
    /// Agreements as people write them, one for each kind of answer.
    static func agreementTexts() throws -> [String] {
        func file(_ name: String) throws -> String {
            try String(
                contentsOf: repositoryFile("Protocols/agreements/\(name).yaml"), encoding: .utf8)
        }
        let study = try file("lung-nodules")
        let kinds: [[String]] = [
            ["answer: class", "classes: 3", "posterior: 950", "minimumVotes: 2"],
            [
                "answer: measurement", "nearShare: \"2/3\"", "absoluteTolerance: \"1.5\"",
                "relativeTolerance: 100", "cut: \"-2.5\"",
            ],
            ["answer: boxes", "classes: 2", "overlap: 500", "agreement: 700"],
            ["answer: masks", "labels: [cell]", "agreement: 800"],
        ]
        let others = kinds.map { lines in
            study.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
                !["classes", "nearShare", "nearDistance", "maximumSpread"].contains {
                    line.hasPrefix("  \($0):")
                }
            }.flatMap { line in
                line.hasPrefix("  answer:") ? lines.map { "  \($0)" } : [String(line)]
            }.joined(separator: "\n")
                .replacing("positiveAbove: 3", with: "positiveAbove: 1")
                .replacing("negativeBelow: 3", with: "negativeBelow: 2")
        }
        return try [study, file("lung-nodules-above-three")] + others
    }

    static func agreement() throws -> Self {
        let words = [
            "class", "ordinal", "measurement", "boxes", "masks", "true", "false", "null", "~",
            "&a", "*a", "!!int", "!!binary", "|", ">", "- ", "? ", ": ", "{}", "[]", "\"0.25\"",
            "'1'", "\"2/3\"", "\"-0.5\"", "labels", "features", "developers", "classes", "---",
            "...", "%YAML 1.1", "<<", "\"\\u0000\"", "0x1F", "1e9", "18446744073709551616",
            "own-site", "score/1", "annotation/1", "fedavg", "\u{FEFF}", "\u{2028}",
        ]
        return Self(
            "agreement", .text,
            seeds: try agreementTexts().map { Array($0.utf8) },
            words: words,
            hostile: [[], Array("a".utf8), Array("[[[[".utf8), Array("study: &a [*a]\n".utf8)]
        ) { bytes in
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw NotTaken("no UTF-8")
            }
            let agreement = try readAgreement(text: text, file: "agreement.yaml")
            let again = try WireAgreementCopy(agreement).value
            guard again == agreement else { throw RoundTripLost() }
            return nil
        }
    }

    static func safetensors() throws -> Self {
        let parameters = try Parameters([
            Tensor(name: "bias", shape: [3], values: [0.5, -1, 2]),
            Tensor(name: "weight", shape: [3, 2], values: [1, 2, 3, 4, 5, 6]),
            Tensor(name: "step", shape: [], values: [7]),
            Tensor(name: "none", shape: [0, 4], values: []),
        ])
        let seeds = try [
            Safetensors(parameters, metadata: ["format": "pt", "note": "a \"b\" \\ \u{1} ü"]),
            Safetensors(parameters), Safetensors(try Parameters([])),
        ].map { try $0.encoded() }
        func file(_ header: String, _ bytes: Int) -> [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
                + Array(header.utf8) + [UInt8](repeating: 1, count: bytes)
        }
        let foreign = [
            file(
                #" {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.dropFirst().description,
                4),
            file(
                #"{ "a" : { "shape" : [ 1 , 2 ],"dtype":"F32", "data_offsets":[0,8]} ,"#
                    + "\n\t\r" + #""\u00e9\ud83d\ude00\/\b\f\n\r\t":"x"}"#, 8),
            file(
                #"{"__metadata__":{"\u00e9\ud83d\ude00":"\/\b\f\n\r\t\\\""},"#
                    + #""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  "#, 8),
        ]
        return Self(
            "safetensors", .bytes, seeds: seeds + [foreign[0], foreign[2]],
            words: [],
            hostile: [
                [], [UInt8](repeating: 0xFF, count: 8), [0, 0, 0, 0, 0, 0, 0, 16, 1],
                foreign[1],
            ], mend: mendSafetensors
        ) { bytes in
            let file = try Safetensors(decoding: bytes)
            let canonical = try file.encoded()
            let again = try Safetensors(decoding: canonical)
            guard try again.encoded() == canonical, again.metadata == file.metadata else {
                throw RoundTripLost()
            }
            return nil
        }
    }

    /// Tables of records and of consents, whose rows become transactions.
    static func table() -> Self {
        let seeds = [
            "patient,record,use,readers,diameter\np-1,a,training,north-1 north-2,1.5\n"
                + "p-2,b,evaluation,,\"-2\"\n",
            "use,diameter,record,patient,readers,width,height\n"
                + "training,0,r.1,\"a \"\"b\"\", c\",north-1,640,480\r\n",
            "patient,purposes,reward\np-1,training evaluation,earn\np-2,sharing,waive\n",
            "purposes,patient\ntraining,\"p,1\"\n",
        ]
        let words = [
            "patient", "record", "use", "readers", "diameter", "purposes", "reward", "width",
            "training", "evaluation", "earn", "waive", "\"\"", "\"", ",", "\r", "nan", "inf",
            "1e400", "-0", "0x1p3", "north-1", "\u{85}", "\u{2028}", "\u{FEFF}", "65536",
        ]
        return Self(
            "table", .text, seeds: seeds.map { Array($0.utf8) }, words: words,
            hostile: [[], Array("\n".utf8), Array("a,b\n\"".utf8), [0xEF, 0xBB, 0xBF]]
        ) { bytes in
            var refusals: [any Error] = []
            func attempt(_ columns: [String], _ read: (CSVTable) throws -> Void) {
                do {
                    try read(CSVTable(bytes: bytes, file: "t.csv", columns: columns))
                } catch { refusals.append(error) }
            }
            attempt(recordColumns + ["diameter"]) {
                _ = try readRecords($0, features: ["diameter"], site: "north")
            }
            attempt(recordColumns + ["diameter"] + sizeColumns) {
                _ = try readRecords($0, features: ["diameter"], site: "north", isImage: true)
            }
            attempt(["patient", "purposes", "reward"]) { _ = try readGrants($0) }
            attempt(["patient", "purposes"]) { _ = try readWithdrawals($0) }
            // The refusal that says most: the one that comes last in the file.
            if refusals.count == 4 {
                throw NotTaken(refusals.map { "\($0)" }.joined(separator: " / "))
            }
            return nil
        }
    }

    /// Labels of many annotators, read row by row over the file's own bytes.
    static func labels() -> Self {
        let seeds = [
            "item,annotator,label\n1,a,x\n1,b,y\n2,a,x\n",
            "task,worker,label,replicate\n10,w1,1,1\n10,w1,2,2\n9,\"w 2\",3,1\r\n",
            "rater,label,item\nr,0,i\nr,1,\"i\"\"2\"\nq,1,i\n",
        ]
        let words = [
            "item", "annotator", "label", "task", "worker", "reader", "rater", "replicate", "\"",
            "\"\"", ",", "\r", "\u{85}", "\u{FEFF}", "-1", "00", "256",
        ]
        return Self(
            "labels", .text, seeds: seeds.map { Array($0.utf8) }, words: words,
            hostile: [[], Array("item,annotator,label\n".utf8), Array("\"".utf8)]
        ) { bytes in
            var refusals: [any Error] = []
            for isOrdinal in [false, true] {
                do {
                    let table = try LabelTable(bytes: bytes, file: "l.csv", isOrdinal: isOrdinal)
                    _ = table.items.map { table.number(ofItem: $0) }
                } catch { refusals.append(error) }
            }
            do {
                _ = try TruthTable(bytes: bytes, file: "l.csv")
            } catch { refusals.append(error) }
            if refusals.count == 3 {
                throw NotTaken(refusals.map { "\($0)" }.joined(separator: " / "))
            }
            return nil
        }
    }
}

/// An accepted file that does not survive being written and read again.
struct RoundTripLost: Error {}

/// An agreement that was written and read again.
private struct WireAgreementCopy {
    let value: WireAgreement

    init(_ agreement: WireAgreement) throws {
        var wire = WireDecision()
        wire.agreement = agreement
        value = try WireDecision(strictly: wire.encoded()).agreement
    }
}

/// The header's length, so that what stands behind a changed header is read.
@Sendable private func mendSafetensors(
    _ bytes: [UInt8], _ random: inout FuzzRandom
) -> [UInt8]? {
    guard bytes.count > 8, let end = bytes.lastIndex(of: UInt8(ascii: "}")), end >= 8 else {
        return nil
    }
    let length = end - 7
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + bytes[8...]
}
