import Contracts
import Ledger
import Node
package import Wire

/// Another policy, as a file of people says it.
package struct PolicyFile: Sendable {
    package let rewards: WireRewardRule
    /// Of a late answer, in microtokens; nil when the file does not say.
    package let laterFee: UInt64?
    /// What else stands in the file: place and value, in order.
    let others: [(place: String, value: String)]

    /// What the file says otherwise than an agreement, of what cannot be tried on a chain.
    ///
    /// Other answers, windows or models would have come of it, and nobody knows which.
    package func ignored(beside agreement: WireAgreement) -> [String] {
        let agreed = plainValues(of: agreement)
        return others.compactMap { place, value in
            guard let own = agreed[place] else { return "\(place) \(value) (not in the agreement)" }
            return plain(own) == plain(value)
                ? nil : "\(place) \(value) (in force: \(own.isEmpty ? "none" : own))"
        }
    }
}

/// Reads a reward rule that stands by itself or in a whole agreement, and the fee of late answers.
///
/// - Throws: ``InputFault`` with the key's place and line; also when its shares do not sum up.
package func readPolicy(text: String, file: String) throws -> PolicyFile {
    let sections = ["chain", "annotation", "training"]
    let root = try YAMLSection(text: text, file: file, keys: ["study", "rewards"] + sections)
    let rewards = try rewardRule(root.section("rewards", keys: rewardKeys))
    do {
        try validate(rewards)
    } catch { throw InputFault(file: file, line: nil, reason: error.description) }
    var others: [(place: String, value: String)] = []
    if root.has("study") { others.append(("study", try root.text("study"))) }
    var laterFee: UInt64?
    for name in sections where root.has(name) {
        let section = try root.section(name, keys: nil)
        for key in section.keys where name != "annotation" || key != "laterFee" {
            others.append(("\(name).\(key)", section.plainText(key)))
        }
        guard name == "annotation", section.has("laterFee") else { continue }
        let fee = try section.millionths("laterFee")
        guard fee <= largestSupply else {
            throw section.fault("laterFee", "must be at most 2^62 microtokens")
        }
        laterFee = fee
    }
    return PolicyFile(rewards: rewards, laterFee: laterFee, others: others)
}

/// A value in one way of writing it: a decimal number with all of its six decimals.
private func plain(_ value: String) -> String {
    TokenAmount(tokens: value)?.description ?? value
}

/// Every parameter of an agreement but the rewards and the late fee, as its file writes it.
private func plainValues(of agreement: WireAgreement) -> [String: String] {
    let (chain, rule, training) = (agreement.chain, agreement.annotation, agreement.training)
    func millionths(_ value: UInt64) -> String { TokenAmount(microtokens: value).description }
    func list(_ values: some Sequence<some CustomStringConvertible>) -> String {
        values.map(\.description).joined(separator: ", ")
    }
    return [
        "study": agreement.study,
        "chain.blockInterval": "\(chain.blockIntervalMs)",
        "chain.majorityQuorum": "\(chain.majorityQuorum)",
        "chain.checkpointInterval": "\(chain.checkpointInterval)",
        "chain.inclusionPromise": "\(chain.inclusionPromise)",
        "annotation.rule": rule.rule, "annotation.answer": rule.answer,
        "annotation.panel": rule.panel, "annotation.commitWindow": "\(rule.commitWindow)",
        "annotation.revealWindow": "\(rule.revealWindow)",
        "annotation.minimumAnswers": "\(rule.minimumAnswers)",
        "annotation.periodItems": "\(rule.periodItems)",
        "annotation.classes": "\(rule.classes)", "annotation.labels": list(rule.labels),
        "annotation.posterior": "\(rule.posteriorPermille)",
        "annotation.minimumVotes": "\(rule.minimumVotes)",
        "annotation.nearShare": "\(rule.nearShareNumerator)/\(rule.nearShareDenominator)",
        "annotation.nearDistance": "\(rule.nearDistance)",
        "annotation.maximumSpread": "\(rule.maximumSpread)",
        "annotation.absoluteTolerance": decimalText(
            thousandths: Int64(clamping: rule.absoluteTolerance)),
        "annotation.relativeTolerance": "\(rule.relativeTolerancePermille)",
        "annotation.cut": decimalText(thousandths: rule.cut),
        "annotation.overlap": "\(rule.overlapPermille)",
        "annotation.agreement": "\(rule.agreementPermille)",
        "annotation.waves": list(rule.waves), "annotation.credential": rule.credential,
        "annotation.seniorCredential": rule.seniorCredential,
        "annotation.secretWindow": "\(rule.secretWindow)",
        "annotation.goldOrganisation": rule.goldOrganisation,
        "annotation.goldWindow": "\(rule.goldWindow)",
        "training.trainer": training.trainer, "training.features": list(training.features),
        "training.positiveAbove": "\(training.positiveAbove)",
        "training.negativeBelow": "\(training.negativeBelow)",
        "training.rounds": "\(training.rounds)", "training.localSteps": "\(training.localSteps)",
        "training.learningRate": millionths(training.learningRateMillionths),
        "training.l2": millionths(training.l2Millionths),
        "training.hiddenUnits": "\(training.hiddenUnits)", "training.seed": "\(training.seed)",
        "training.normBound": millionths(training.normBoundMillionths),
        "training.roundDeadline": "\(training.roundDeadline)",
        "training.aggregation": training.aggregation, "training.utility": training.utility,
    ]
}
