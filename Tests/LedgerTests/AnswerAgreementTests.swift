import Ledger
import TestSupport
import Testing
import Wire

@Suite("Agreements about answers")
struct AnswerAgreementTests {
    /// An agreement for a kind of answer, with all that the kind needs.
    private static func agreement(_ kind: String) -> WireAgreement {
        var agreement = testAgreement()
        agreement.annotation.answer = kind
        agreement.annotation.classes = ["measurement": 0, "masks": 1][kind] ?? 2
        agreement.training.positiveAbove = 1
        agreement.training.negativeBelow = 2
        if kind != "ordinal" {
            agreement.annotation.nearDistance = 0
            agreement.annotation.maximumSpread = 0
        }
        if !["ordinal", "measurement"].contains(kind) {
            agreement.annotation.nearShareNumerator = 0
            agreement.annotation.nearShareDenominator = 0
        }
        switch kind {
        case "class":
            agreement.annotation.posteriorPermille = 950
            agreement.annotation.minimumVotes = 2
        case "measurement": agreement.annotation.absoluteTolerance = 500
        case "boxes":
            agreement.annotation.overlapPermille = 500
            agreement.annotation.agreementPermille = 700
        case "masks": agreement.annotation.agreementPermille = 800
        default: break
        }
        return agreement
    }

    private static func fault(
        _ kind: String, _ change: (inout WireAgreement) -> Void = { _ in }
    ) -> String? {
        var agreement = agreement(kind)
        change(&agreement)
        do throws(AgreementFault) {
            try validate(agreement)
            return nil
        } catch { return error.description }
    }

    static let kinds = ["class", "ordinal", "measurement", "boxes", "masks"]

    @Test("each kind with what it needs, and with names", arguments: kinds)
    func admitted(kind: String) {
        #expect(Self.fault(kind) == nil)
        let names = (0..<Self.agreement(kind).annotation.classes).map { "class \($0)" }
        #expect(Self.fault(kind) { $0.annotation.labels = names } == nil)
    }

    @Test("a field of another kind is refused", arguments: kinds)
    func foreign(kind: String) {
        let fields: [(String, [String], WritableKeyPath<WireAnnotationRule, UInt32>)] = [
            ("nearDistance", ["ordinal"], \.nearDistance),
            ("maximumSpread", ["ordinal"], \.maximumSpread),
            ("nearShare", ["ordinal", "measurement"], \.nearShareDenominator),
            ("posterior", ["class"], \.posteriorPermille),
            ("minimumVotes", ["class"], \.minimumVotes),
            ("absoluteTolerance", ["measurement"], \.relativeTolerancePermille),
            ("overlap", ["boxes"], \.overlapPermille),
            ("agreement", ["boxes", "masks"], \.agreementPermille),
        ]
        for (name, kinds, field) in fields where !kinds.contains(kind) {
            #expect(
                Self.fault(kind) { $0.annotation[keyPath: field] = 3 }
                    == "annotation.\(name) has no meaning for \(kind)")
        }
        guard kind != "measurement" else { return }
        #expect(
            Self.fault(kind) { $0.annotation.cut = -1 }
                == "annotation.absoluteTolerance has no meaning for \(kind)")
    }

    @Test("thresholds out of range are refused by their place")
    func ranges() {
        func refused(
            _ kind: String, _ place: String, _ change: (inout WireAgreement) -> Void
        ) -> Bool { Self.fault(kind, change)?.hasPrefix("annotation.\(place) must") == true }
        for value in [0, 1001] as [UInt32] {
            #expect(refused("class", "posterior") { $0.annotation.posteriorPermille = value })
            #expect(refused("class", "minimumVotes") { $0.annotation.minimumVotes = value })
            #expect(refused("boxes", "overlap") { $0.annotation.overlapPermille = value })
            #expect(refused("boxes", "agreement") { $0.annotation.agreementPermille = value })
            #expect(refused("masks", "agreement") { $0.annotation.agreementPermille = value })
        }
        #expect(refused("boxes", "agreement") { $0.annotation.agreementPermille = 666 })
        #expect(Self.fault("boxes") { $0.annotation.agreementPermille = 667 } == nil)
        #expect(refused("boxes", "classes") { $0.annotation.classes = 0 })
        #expect(refused("boxes", "classes") { $0.annotation.classes = 65 })
        #expect(refused("masks", "classes") { $0.annotation.classes = 2 })
        #expect(
            Self.fault("measurement") { $0.annotation.classes = 2 }
                == "annotation.classes has no meaning for measurement")
        #expect(
            refused("measurement", "absoluteTolerance") { $0.annotation.absoluteTolerance = 0 })
        #expect(
            refused("measurement", "absoluteTolerance") {
                $0.annotation.absoluteTolerance = 1 << 62 + 1
            })
        #expect(
            refused("measurement", "relativeTolerance") {
                $0.annotation.relativeTolerancePermille = 1001
            })
        for labels in [["a"], ["a", "a"], ["a", ""], ["a", "b,c"], ["a", " b"], ["a", "b\n"]] {
            #expect(refused("class", "labels") { $0.annotation.labels = labels })
        }
    }

    @Test("what is no grade trains as 1 or 2")
    func training() {
        for kind in ["measurement", "boxes", "masks"] {
            #expect(
                Self.fault(kind) { $0.training.positiveAbove = 2 }
                    == "training.positiveAbove must be a grade below the highest")
        }
    }
}
