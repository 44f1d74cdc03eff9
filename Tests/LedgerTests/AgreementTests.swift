import Ledger
import TestSupport
import Testing
import Wire

enum AgreementExample {
    static func fault(_ change: (inout WireAgreement) -> Void) -> AgreementFault? {
        var agreement = testAgreement()
        change(&agreement)
        do throws(AgreementFault) {
            try validate(agreement)
            return nil
        } catch { return error }
    }
}

struct AgreementTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let place: String
        let name: String
        let change: @Sendable (inout WireAgreement) -> Void
        var testDescription: String { "\(place): \(name)" }

        init(
            _ place: String, _ name: String,
            _ change: @escaping @Sendable (inout WireAgreement) -> Void
        ) {
            self.place = place
            self.name = name
            self.change = change
        }
    }

    static func share(_ account: String, _ weight: UInt32) -> WireDeveloperShare {
        var share = WireDeveloperShare()
        share.account = account
        share.weight = weight
        return share
    }

    static let refused: [Row] = [
        Row("study", "empty") { $0.study = "" },
        Row("study", "capitals") { $0.study = "Lungs" },
        Row("study", "65 characters") { $0.study = String(repeating: "a", count: 65) },
        Row("chain.blockInterval", "9 ms") { $0.chain.blockIntervalMs = 9 },
        Row("chain.blockInterval", "over a minute") { $0.chain.blockIntervalMs = 60_001 },
        Row("chain.checkpointInterval", "zero") { $0.chain.checkpointInterval = 0 },
        Row("chain.inclusionPromise", "zero") { $0.chain.inclusionPromise = 0 },
        Row("annotation.rule", "another version") { $0.annotation.rule = "annotation/2" },
        Row("annotation.answer", "unknown") { $0.annotation.answer = "polygons" },
        Row("annotation.panel", "any") { $0.annotation.panel = "any" },
        Row("annotation.classes", "one") { $0.annotation.classes = 1 },
        Row("annotation.classes", "65") { $0.annotation.classes = 65 },
        Row("annotation.commitWindow", "zero") { $0.annotation.commitWindow = 0 },
        Row("annotation.revealWindow", "zero") { $0.annotation.revealWindow = 0 },
        Row("annotation.minimumAnswers", "zero") { $0.annotation.minimumAnswers = 0 },
        Row("annotation.minimumAnswers", "1001") { $0.annotation.minimumAnswers = 1001 },
        Row("annotation.nearShare", "over one") { $0.annotation.nearShareNumerator = 4 },
        Row("annotation.nearShare", "over zero") {
            $0.annotation.nearShareNumerator = 0
            $0.annotation.nearShareDenominator = 0
        },
        Row("annotation.periodItems", "zero") { $0.annotation.periodItems = 0 },
        Row("training.trainer", "unknown") { $0.training.trainer = "forest" },
        Row("training.features", "none") { $0.training.features = [] },
        Row("training.features", "10001") {
            $0.training.features = (0...10_000).map { "f\($0)" }
        },
        Row("training.features", "one twice") { $0.training.features = ["a", "b", "a"] },
        Row("training.features", "no identifier") { $0.training.features = ["a b"] },
        Row("training.positiveAbove", "zero") { $0.training.positiveAbove = 0 },
        Row("training.positiveAbove", "the highest grade") { $0.training.positiveAbove = 5 },
        Row("training.negativeBelow", "1") { $0.training.negativeBelow = 1 },
        Row("training.negativeBelow", "overlaps") { $0.training.negativeBelow = 5 },
        Row("training.rounds", "zero") { $0.training.rounds = 0 },
        Row("training.rounds", "100001") { $0.training.rounds = 100_001 },
        Row("training.localSteps", "zero") { $0.training.localSteps = 0 },
        Row("training.localSteps", "100001") { $0.training.localSteps = 100_001 },
        Row("training.learningRate", "zero") { $0.training.learningRateMillionths = 0 },
        Row("training.hiddenUnits", "of a regression") { $0.training.hiddenUnits = 1 },
        Row("training.hiddenUnits", "none of a perceptron") {
            $0.training.trainer = "multilayer-perceptron"
        },
        Row("training.hiddenUnits", "100001") {
            $0.training.trainer = "multilayer-perceptron"
            $0.training.hiddenUnits = 100_001
        },
        Row("training.normBound", "zero") { $0.training.normBoundMillionths = 0 },
        Row("training.roundDeadline", "zero") { $0.training.roundDeadline = 0 },
        Row("training.aggregation", "unknown") { $0.training.aggregation = "krum" },
        Row("training.utility", "unknown") { $0.training.utility = "auc" },
        Row("rewards.split", "9999") { $0.rewards.patientsBasisPoints = 3999 },
        Row("rewards.split", "10001") { $0.rewards.sitesBasisPoints = 1501 },
        Row("rewards.split", "beyond 32 bits") {
            $0.rewards.patientsBasisPoints = .max
            $0.rewards.annotatorsBasisPoints = 10_001 - 3000
        },
        Row("rewards.supply", "zero") { $0.rewards.supplyMicrotokens = 0 },
        Row("rewards.supply", "beyond 2^62") { $0.rewards.supplyMicrotokens = 1 << 62 + 1 },
        Row("rewards.roundPool", "over the supply") {
            $0.rewards.roundPoolMicrotokens = $0.rewards.supplyMicrotokens + 1
        },
        Row("rewards.appealWindow", "one block") { $0.rewards.appealWindow = 1 },
        Row("rewards.developers", "none") { $0.rewards.developers = [] },
        Row("rewards.developers", "no developer") {
            $0.rewards.developers = [share("site/east", 1)]
        },
        Row("rewards.developers", "no account") { $0.rewards.developers = [share("lab", 1)] },
        Row("rewards.developers", "no weight") {
            $0.rewards.developers = [share("developer/lab", 0)]
        },
        Row("rewards.developers", "one twice") {
            $0.rewards.developers = [share("developer/a", 1), share("developer/a", 1)]
        },
        Row("rewards.developers", "not ascending") {
            $0.rewards.developers = [share("developer/b", 1), share("developer/a", 1)]
        },
    ]

    @Test("each refusal names its place", arguments: refused)
    func refusal(row: Row) throws {
        let fault = try #require(AgreementExample.fault(row.change))
        #expect(fault.place == row.place)
        #expect(fault.description == "\(row.place) \(fault.reason)")
        #expect(throws: GenesisFault.badAgreement(fault)) {
            var agreement = testAgreement()
            row.change(&agreement)
            return try Genesis(strictly: testGenesis(agreement))
        }
    }

    static let admitted: [Row] = [
        Row("", "as it stands") { _ in },
        Row("", "the ends of the ranges") {
            $0.chain.blockIntervalMs = 60_000
            $0.annotation.classes = 64
            $0.annotation.minimumAnswers = 1000
            $0.annotation.nearShareNumerator = 3
            $0.training.positiveAbove = 63
            $0.training.negativeBelow = 64
            $0.training.rounds = 100_000
            $0.rewards.supplyMicrotokens = 1 << 62
            $0.rewards.roundPoolMicrotokens = 1 << 62
        },
        Row("", "the other ends") {
            $0.chain.blockIntervalMs = 10
            $0.annotation.classes = 2
            $0.annotation.minimumAnswers = 1
            $0.annotation.nearShareNumerator = 0
            $0.training.positiveAbove = 1
            $0.training.negativeBelow = 2
            $0.rewards.supplyMicrotokens = 1
            $0.rewards.roundPoolMicrotokens = 0
            $0.rewards.appealWindow = 2
            $0.rewards.stakeMicrotokens = 0
            $0.rewards.warmUpRounds = 0
        },
        Row("", "a perceptron") {
            $0.training.trainer = "multilayer-perceptron"
            $0.training.hiddenUnits = 16
            $0.training.utility = "correct"
        },
        Row("", "no developers, no share for them") {
            $0.rewards.developers = []
            $0.rewards.developersBasisPoints = 0
            $0.rewards.patientsBasisPoints = 5500
        },
        Row("", "two developers") {
            $0.rewards.developers = [share("developer/a", 1), share("developer/b", .max)]
        },
    ]

    @Test("agreements that can be kept", arguments: admitted)
    func admission(row: Row) {
        #expect(AgreementExample.fault(row.change) == nil)
    }

    @Test("every place that can be refused is refused by some row")
    func completeness() {
        #expect(Set(Self.refused.map(\.place)).count == 30)
    }
}
