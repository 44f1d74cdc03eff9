package import Wire

/// What an agreement says that this program cannot keep.
package struct AgreementFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let place: String
    package let reason: String

    package var description: String { "\(place) \(reason)" }
}

/// Checks an agreement before anybody signs under it.
///
/// A rule of an unknown name or version is refused here, so that no node ever meets one.
package func validate(_ agreement: WireAgreement) throws(AgreementFault) {
    func require(_ holds: Bool, _ place: String, _ reason: String) throws(AgreementFault) {
        guard holds else { throw AgreementFault(place: place, reason: reason) }
    }
    try require(isIdentifier(agreement.study.utf8), "study", "must be 1 to 64 of a-z 0-9 . _ -")

    let chain = agreement.chain
    try require(
        (10...60_000).contains(chain.blockIntervalMs), "chain.blockInterval",
        "must be 10 to 60000 milliseconds")
    try require(chain.checkpointInterval > 0, "chain.checkpointInterval", "must be above zero")
    try require(chain.inclusionPromise > 0, "chain.inclusionPromise", "must be above zero")

    let annotation = agreement.annotation
    try require(annotation.rule == "annotation/1", "annotation.rule", "must be annotation/1")
    try validate(panels: annotation)
    try validate(answers: annotation)
    try require(annotation.commitWindow > 0, "annotation.commitWindow", "must be above zero")
    try require(annotation.revealWindow > 0, "annotation.revealWindow", "must be above zero")
    try require(
        (1...1_000).contains(annotation.minimumAnswers), "annotation.minimumAnswers",
        "must be 1 to 1000")
    try require(annotation.periodItems > 0, "annotation.periodItems", "must be above zero")

    let training = agreement.training
    try require(
        ["logistic-regression", "multilayer-perceptron"].contains(training.trainer),
        "training.trainer", "must be logistic-regression or multilayer-perceptron")
    try require(
        (1...10_000).contains(training.features.count), "training.features",
        "must name 1 to 10000 features")
    try require(
        Set(training.features).count == training.features.count
            && training.features.allSatisfy { isIdentifier($0.utf8) }, "training.features",
        "must each be named once, of a-z 0-9 . _ -")
    try require(
        training.positiveAbove >= 1
            && training.positiveAbove < highestTrainingGrade(annotation),
        "training.positiveAbove", "must be a grade below the highest")
    try require(
        training.negativeBelow >= 2 && training.negativeBelow <= training.positiveAbove + 1,
        "training.negativeBelow", "must be a grade above 1 and at most positiveAbove + 1")
    try require((1...100_000).contains(training.rounds), "training.rounds", "must be 1 to 100000")
    try require(
        (1...100_000).contains(training.localSteps), "training.localSteps",
        "must be 1 to 100000")
    try require(training.learningRateMillionths > 0, "training.learningRate", "must be above zero")
    try require(
        training.trainer == "logistic-regression"
            ? training.hiddenUnits == 0 : (1...100_000).contains(training.hiddenUnits),
        "training.hiddenUnits", "must be 1 to 100000 for a perceptron, else absent")
    try require(training.normBoundMillionths > 0, "training.normBound", "must be above zero")
    try require(training.roundDeadline > 0, "training.roundDeadline", "must be above zero")
    try require(training.aggregation == "fedavg", "training.aggregation", "must be fedavg")
    try require(
        ["concordance", "correct"].contains(training.utility), "training.utility",
        "must be concordance or correct")
    try validate(agreement.rewards)
}

/// All tokens there may ever be, in microtokens: sums of amounts then fit into 64 bits.
package let largestSupply: UInt64 = 1 << 62

extension WireAgreement {
    /// The accounts that the agreement trusts with money: its developers, then its treasurer.
    ///
    /// Whoever holds their keys starts runs, posts income and says what was paid out.
    package var namedAccounts: [AccountID] {
        (rewards.developers.map(\.account) + [rewards.treasurer]).compactMap { AccountID($0) }
    }
}

/// Checks a reward rule by itself.
package func validate(_ rewards: WireRewardRule) throws(AgreementFault) {
    let points = [
        rewards.patientsBasisPoints, rewards.annotatorsBasisPoints, rewards.sitesBasisPoints,
        rewards.developersBasisPoints,
    ].reduce(UInt64(0)) { $0 + UInt64($1) }
    guard points == 10_000 else {
        throw AgreementFault(
            place: "rewards.split", reason: "sums to \(points) basis points instead of 10000")
    }
    guard (1...largestSupply).contains(rewards.supplyMicrotokens) else {
        throw AgreementFault(
            place: "rewards.supply", reason: "must be above zero and at most 2^62 microtokens")
    }
    guard rewards.roundPoolMicrotokens <= rewards.supplyMicrotokens else {
        throw AgreementFault(place: "rewards.roundPool", reason: "must not exceed the supply")
    }
    guard rewards.appealWindow >= 2 else {
        throw AgreementFault(
            place: "rewards.appealWindow",
            reason: "must be at least 2 blocks: money is used when its block is settled")
    }
    var last: AccountID?
    for share in rewards.developers {
        guard let account = AccountID(share.account), account.role == .developer, share.weight > 0,
            last.map({ $0 < account }) ?? true
        else {
            throw AgreementFault(
                place: "rewards.developers",
                reason: "must list developer accounts ascending, each once with a weight")
        }
        last = account
    }
    guard rewards.treasurer.isEmpty || AccountID(rewards.treasurer)?.role == .treasurer else {
        throw AgreementFault(
            place: "rewards.treasurer", reason: "must be an account such as treasurer/office")
    }
    guard rewards.parentBasisPoints <= 10_000 else {
        throw AgreementFault(
            place: "rewards.parentShare", reason: "must be at most 10000 basis points")
    }
    guard rewards.developersBasisPoints == 0 || !rewards.developers.isEmpty else {
        throw AgreementFault(
            place: "rewards.developers", reason: "must name at least one developer")
    }
}
