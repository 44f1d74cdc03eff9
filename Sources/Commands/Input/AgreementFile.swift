import Contracts
import Ledger
package import Wire

/// Reads an agreement as people write it; every key must be there, and no other.
func readAgreement(file: String) throws -> WireAgreement {
    try readAgreement(text: utf8Text(readFile(file), file: file), file: file)
}

/// Reads the text of an agreement.
///
/// - Throws: ``InputFault`` with the key's place and line.
package func readAgreement(text: String, file: String) throws -> WireAgreement {
    let root = try YAMLSection(
        text: text, file: file, keys: ["study", "chain", "annotation", "training", "rewards"])
    var agreement = WireAgreement()
    agreement.study = try root.text("study")
    agreement.chain = try chainRules(
        root.section(
            "chain",
            keys: ["blockInterval", "majorityQuorum", "checkpointInterval", "inclusionPromise"]))
    let asked = try root.section("annotation", keys: nil)
    guard let kind = AnswerKind(rawValue: try asked.text("answer")) else {
        throw asked.fault(
            "answer", "must be " + AnswerKind.allCases.map(\.rawValue).joined(separator: ", "))
    }
    agreement.annotation = try annotationRule(
        root.section("annotation", keys: annotationKeys(of: kind)), kind)
    agreement.training = try trainingRule(
        root.section(
            "training",
            keys: [
                "trainer", "features", "positiveAbove", "negativeBelow", "rounds", "localSteps",
                "learningRate", "l2", "hiddenUnits", "seed", "normBound", "roundDeadline",
                "aggregation", "utility",
            ]))
    agreement.rewards = try rewardRule(root.section("rewards", keys: rewardKeys))
    do {
        try validate(agreement)
    } catch { throw InputFault(file: file, line: nil, reason: error.description) }
    return agreement
}

private func chainRules(_ section: YAMLSection) throws -> WireChainRules {
    var rules = WireChainRules()
    rules.blockIntervalMs = try section.whole("blockInterval")
    rules.majorityQuorum = try section.flag("majorityQuorum")
    rules.checkpointInterval = try section.whole("checkpointInterval")
    rules.inclusionPromise = try section.whole("inclusionPromise")
    return rules
}

/// The keys of an annotation rule; each kind of answer has its own thresholds.
private func annotationKeys(of kind: AnswerKind) -> [String] {
    let own =
        switch kind {
        case .class: ["classes", "labels", "posterior", "minimumVotes"]
        case .ordinal: ["classes", "labels", "nearShare", "nearDistance", "maximumSpread"]
        case .measurement: ["nearShare", "absoluteTolerance", "relativeTolerance", "cut"]
        case .boxes: ["classes", "labels", "overlap", "agreement"]
        case .masks: ["labels", "agreement"]
        }
    return [
        "rule", "answer", "panel", "commitWindow", "revealWindow", "minimumAnswers", "periodItems",
    ] + own + panelKeys
}

/// Keys of drawn panels and of gold; an agreement without the one or the other leaves them out.
private let panelKeys = [
    "waves", "credential", "seniorCredential", "secretWindow", "laterFee", "goldOrganisation",
    "goldWindow",
]

private func readPanels(_ section: YAMLSection, into rule: inout WireAnnotationRule) throws {
    if section.has("waves") { rule.waves = try section.wholes("waves") }
    if section.has("credential") { rule.credential = try section.text("credential") }
    if section.has("seniorCredential") {
        rule.seniorCredential = try section.text("seniorCredential")
    }
    if section.has("secretWindow") { rule.secretWindow = try section.whole("secretWindow") }
    if section.has("laterFee") { rule.laterFeeMicrotokens = try section.millionths("laterFee") }
    if section.has("goldOrganisation") {
        rule.goldOrganisation = try section.text("goldOrganisation")
    }
    if section.has("goldWindow") { rule.goldWindow = try section.whole("goldWindow") }
}

private func annotationRule(
    _ section: YAMLSection, _ kind: AnswerKind
) throws -> WireAnnotationRule {
    var rule = WireAnnotationRule()
    rule.rule = try section.text("rule")
    rule.answer = try section.text("answer")
    rule.panel = try section.text("panel")
    rule.commitWindow = try section.whole("commitWindow")
    rule.revealWindow = try section.whole("revealWindow")
    rule.minimumAnswers = try section.whole("minimumAnswers")
    rule.periodItems = try section.whole("periodItems")
    try readPanels(section, into: &rule)
    if section.has("labels") { rule.labels = try section.texts("labels") }
    switch kind {
    case .class:
        rule.classes = try section.whole("classes")
        rule.posteriorPermille = try section.whole("posterior")
        rule.minimumVotes = try section.whole("minimumVotes")
    case .ordinal:
        rule.classes = try section.whole("classes")
        (rule.nearShareNumerator, rule.nearShareDenominator) = try section.fraction("nearShare")
        rule.nearDistance = try section.whole("nearDistance")
        rule.maximumSpread = try section.whole("maximumSpread")
    case .measurement:
        (rule.nearShareNumerator, rule.nearShareDenominator) = try section.fraction("nearShare")
        let tolerance = try section.thousandths("absoluteTolerance")
        guard tolerance >= 0 else {
            throw section.fault("absoluteTolerance", "must not be below 0")
        }
        rule.absoluteTolerance = tolerance.magnitude
        rule.relativeTolerancePermille = try section.whole("relativeTolerance")
        rule.cut = try section.thousandths("cut")
    case .boxes:
        rule.classes = try section.whole("classes")
        rule.overlapPermille = try section.whole("overlap")
        rule.agreementPermille = try section.whole("agreement")
    case .masks:
        rule.classes = 1
        rule.agreementPermille = try section.whole("agreement")
    }
    return rule
}

private func trainingRule(_ section: YAMLSection) throws -> WireTrainingRule {
    var rule = WireTrainingRule()
    rule.trainer = try section.text("trainer")
    rule.features = try section.texts("features")
    rule.positiveAbove = try section.whole("positiveAbove")
    rule.negativeBelow = try section.whole("negativeBelow")
    rule.rounds = try section.whole("rounds")
    rule.localSteps = try section.whole("localSteps")
    rule.learningRateMillionths = try section.millionths("learningRate")
    rule.l2Millionths = try section.millionths("l2")
    if section.has("hiddenUnits") { rule.hiddenUnits = try section.whole("hiddenUnits") }
    rule.seed = try section.whole("seed")
    rule.normBoundMillionths = try section.millionths("normBound")
    rule.roundDeadline = try section.whole("roundDeadline")
    rule.aggregation = try section.text("aggregation")
    rule.utility = try section.text("utility")
    return rule
}

/// The keys of a reward rule; the last two may be left out.
let rewardKeys = [
    "supply", "roundPool", "split", "developers", "warmUpRounds", "appealWindow", "stake",
    "treasurer", "parentShare",
]

func rewardRule(_ section: YAMLSection) throws -> WireRewardRule {
    var rule = WireRewardRule()
    rule.supplyMicrotokens = try section.millionths("supply")
    rule.roundPoolMicrotokens = try section.millionths("roundPool")
    let split = try section.section(
        "split", keys: ["patients", "annotators", "sites", "developers"])
    rule.patientsBasisPoints = try split.whole("patients")
    rule.annotatorsBasisPoints = try split.whole("annotators")
    rule.sitesBasisPoints = try split.whole("sites")
    rule.developersBasisPoints = try split.whole("developers")
    rule.developers = try section.sections("developers", keys: ["account", "weight"]).map {
        var share = WireDeveloperShare()
        share.account = try $0.text("account")
        share.weight = try $0.whole("weight")
        return share
    }
    rule.warmUpRounds = try section.whole("warmUpRounds")
    rule.appealWindow = try section.whole("appealWindow")
    rule.stakeMicrotokens = try section.millionths("stake")
    if section.has("treasurer") { rule.treasurer = try section.text("treasurer") }
    if section.has("parentShare") { rule.parentBasisPoints = try section.whole("parentShare") }
    return rule
}
