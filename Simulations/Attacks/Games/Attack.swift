import Contracts
import Cryptography
package import Ledger
import Replay
import TestSupport
import Training
package import Wire

/// A way to earn without the work; west does it, in place of what it would honestly do.
package enum Attack: String, CaseIterable, Sendable {
    case honest
    case zeroUpdate = "zero update"
    case smallNoise = "small noise"
    case duplicatedSite = "duplicated site"
    case splitSite = "split site"
    case labelFlipping = "label flipping"
    case scaledUpdate = "scaled update"
    case inflatedCount = "inflated count"
    case inventedPatients = "invented patients"
    case trainedOnReference = "trains on the reference set"

    /// What west does, in a sentence.
    package var sentence: String {
        switch self {
        case .honest: "trains on its records"
        case .zeroUpdate: "sends zeros, and names its records"
        case .smallNoise: "sends values below 0.001, and names its records"
        case .duplicatedSite: "registers the same content once more as a second site"
        case .splitSite: "is two sites, each with half of the records"
        case .labelFlipping: "trains on the opposite of what its readers agreed on"
        case .scaledUpdate: "sends ten times its update"
        case .inflatedCount: "names as many records again that are not registered"
        case .inventedPatients: "registers as many invented records, which its own readers approve"
        case .trainedOnReference: "trains on the reference records, which every member can fetch"
        }
    }
}

/// The lung-nodule study: who holds what.
package struct Study {
    package let agreement: WireAgreement
    let trainer: any Trainer
    let plan: TrainingPlan
    package let records: [AccountID: [GameRecord]]
    package let reference: [AccountID: [GameRecord]]

    package static let west = AccountID(.site, "west")
    package static let second = AccountID(.site, "west-2")

    package init(_ agreement: WireAgreement) throws {
        self.agreement = agreement
        let rule = agreement.training
        guard let trainer = Replay.trainer(of: rule) else {
            throw GameFault(description: "the agreement names no trainer")
        }
        self.trainer = trainer
        plan = TrainingPlan(
            localSteps: Int(rule.localSteps),
            learningRate: Double(rule.learningRateMillionths) / 1_000_000,
            l2: Double(rule.l2Millionths) / 1_000_000)
        var records: [AccountID: [GameRecord]] = [:]
        var reference: [AccountID: [GameRecord]] = [:]
        for nodule in try lungNodules() {
            guard case .approved(let grade) = OrdinalRule().outcome(of: nodule.malignancies),
                let label = label(ofGrade: UInt32(grade), rule)
            else { continue }
            let site = AccountID(.site, nodule.hospital)
            let record = GameRecord(
                item: try itemID("\(nodule.hospital)/n\(nodule.study).\(nodule.number)"),
                patient: named(nodule.patient), features: nodule.features, label: label,
                grade: UInt32(grade))
            if nodule.isHeldOut {
                reference[site, default: []].append(record)
            } else {
                records[site, default: []].append(record)
            }
        }
        self.records = records
        self.reference = reference
    }

    /// A site that trains on records as it should.
    private func honest(
        _ site: AccountID, _ records: [GameRecord], on other: [GameRecord]? = nil
    ) -> Entity {
        let examples = (other ?? records).map {
            TrainingRecord(item: $0.item, features: $0.features, label: $0.label)
        }
        let (trainer, plan) = (trainer, plan)
        return Entity(site: site, records: records) { base, _ in
            try trainer.train(base: base, records: examples, plan: plan)
        }
    }

    /// All records dealt out to so many honest sites in turn, and the reference records to the first.
    package func dealt(to count: Int) -> (entities: [Entity], reference: [AccountID: [GameRecord]])
    {
        let sites = (0..<count).map { AccountID(.site, "s\(1_000 + $0)") }
        let all = records.sorted { $0.key < $1.key }.flatMap(\.value)
        let entities = sites.enumerated().map { place, site in
            let own = all.enumerated().filter { $0.offset % count == place }.map(\.element)
            return honest(site, renamed(own, to: site) { _ in })
        }
        let held = reference.sorted { $0.key < $1.key }.flatMap(\.value)
        return (entities, [sites[0]: renamed(held, to: sites[0]) { _ in }])
    }

    /// The accounts whose money is the attacker's.
    package func attackers(_ attack: Attack) -> [String] {
        attack == .duplicatedSite || attack == .splitSite
            ? [Self.west.text, Self.second.text] : [Self.west.text]
    }

    /// Accounts of patients who are only invented; their custodian holds the keys.
    package var inventedPatients: [String] {
        invented.map { patientAccount($0.patient).text }
    }

    private var invented: [GameRecord] {
        var random = SplitMix64(seed: 7)
        return (records[Self.west] ?? []).enumerated().compactMap { number, record in
            guard let item = ItemID("west/invented.\(number)") else { return nil }
            let isHigh = Bool.random(using: &random)
            return GameRecord(
                item: item, patient: named("invented \(number)"),
                features: record.features.map { $0 + Float.random(in: -0.5...0.5, using: &random) },
                label: isHigh, grade: isHigh ? 5 : 1)
        }
    }

    /// The consortium with west doing what the attack says.
    package func entities(_ attack: Attack) -> [Entity] {
        let own = records[Self.west] ?? []
        let others = records.filter { $0.key != Self.west }.map { honest($0.key, $0.value) }
        return others + west(attack, own)
    }

    private func west(_ attack: Attack, _ own: [GameRecord]) -> [Entity] {
        var west = honest(Self.west, own)
        let train = west.update
        switch attack {
        case .honest: break
        case .zeroUpdate:
            west.update = { base, _ in try mapped(base) { _ in 0 } }
        case .smallNoise:
            west.update = { base, round in
                var random = SplitMix64(seed: UInt64(round))
                return try mapped(base) { _ in Float.random(in: -0.001...0.001, using: &random) }
            }
        case .labelFlipping:
            west = honest(
                Self.west, own,
                on: own.map {
                    GameRecord(
                        item: $0.item, patient: $0.patient, features: $0.features,
                        label: !$0.label, grade: $0.grade)
                })
        case .scaledUpdate:
            west.update = { base, round in try mapped(train(base, round)) { $0 * 10 } }
        case .trainedOnReference:
            west = honest(Self.west, own, on: reference.values.flatMap { $0 })
        case .inflatedCount:
            west.manifest =
                own
                + invented.map { record in
                    var record = record
                    record.isRegistered = false
                    return record
                }
        // The invented ones are in no state: nobody registered them.
        case .inventedPatients:
            west.records = own + invented
        case .duplicatedSite:
            let copies = renamed(own) { record in record.isDuplicate = true }
            var second = honest(Self.second, copies)
            second.update = train
            return [west, second]
        case .splitSite:
            let half = own.count / 2
            return [
                honest(Self.west, Array(own.prefix(half))),
                honest(Self.second, renamed(Array(own.dropFirst(half))) { _ in }),
            ]
        }
        return [west]
    }

    /// The records as another site has them.
    private func renamed(
        _ records: [GameRecord], to site: AccountID = second,
        _ change: (inout GameRecord) -> Void
    ) -> [GameRecord] {
        records.compactMap { record in
            let name = record.item.text.drop { $0 != "/" }
            guard let item = ItemID("\(site.name)\(name)") else { return nil }
            // Another custodian, so another pseudonym of the same person.
            var copy = GameRecord(
                item: item, patient: named("\(item)"), features: record.features,
                label: record.label, grade: record.grade)
            change(&copy)
            return copy
        }
    }
}

/// Parameters of the same shape, value by value.
private func mapped(
    _ parameters: Parameters, _ change: (Float) -> Float
) throws -> Parameters {
    try Parameters(
        parameters.tensors.map {
            try Tensor(name: $0.name, shape: $0.shape, values: $0.values.map(change))
        })
}
