import Ledger
import TestSupport
import Testing
import Training

struct LungNoduleTrainingTests {
    struct Study {
        var sites: [String: [TrainingRecord]] = [:]
        var heldOut: [TrainingRecord] = []
    }

    /// Grade above 3 against below 3, on nodules with an ordinal consensus.
    func study() throws -> Study {
        var study = Study()
        for nodule in try lungNodules() {
            let grades = nodule.malignancies.sorted()
            guard grades.count >= 3 else { continue }
            let median = grades[(grades.count - 1) / 2]
            guard 3 * grades.count(where: { abs($0 - median) <= 1 }) >= 2 * grades.count,
                grades[grades.count - 1] - grades[0] <= 2, median != 3
            else { continue }
            let item = try #require(ItemID("\(nodule.hospital)/\(nodule.study)-\(nodule.number)"))
            let record = TrainingRecord(
                item: item, features: nodule.features, label: median > 3)
            if nodule.isHeldOut {
                study.heldOut.append(record)
            } else {
                study.sites[nodule.hospital, default: []].append(record)
            }
        }
        return study
    }

    /// After rounds 1 and 20 of FedAvg in Float64 with numpy: three sites, five full-batch steps of
    /// rate 0.5 a round; bias first, then the ten weights.
    static let first = [
        -0.04369454032560965, 0.29849537703591134, 0.08738908065121927, 0.21939656669477361,
        -0.11363435621966926, -0.2706407927638302, 0.371580969981883, 0.3820678304249932,
        -0.17160918493791424, 0.5025288175456973, 0.46757413842646467,
    ]
    static let twentieth = [
        -0.41085434731843196, 1.1453945416535911, 0.8217086946368637, 0.8816733346328772,
        -0.10634212924601365, -0.3381976693764833, 0.4451320571957295, 0.48151056602496706,
        -0.5911758558234964, 1.0667165444455553, 1.1894476026592695,
    ]

    @Test("three hospitals, twenty rounds: the parameters of an independent FedAvg, AUC 0.986")
    func federatedAveraging() throws {
        let study = try study()
        #expect(study.sites.mapValues(\.count) == ["north": 290, "east": 129, "west": 83])
        #expect(study.heldOut.count == 111)
        let trainer = try #require(LogisticRegression(features: 10))
        var model = trainer.initialParameters(seed: 0)
        for round in 1...20 {
            var mean = WeightedMean(base: model)
            for site in study.sites.keys.sorted() {
                let records = study.sites[site, default: []]
                let update = try trainer.train(
                    base: model, records: records,
                    plan: TrainingPlan(localSteps: 5, learningRate: 0.5))
                try screen(update, base: model, normBound: 10)
                try mean.add(
                    update, weight: UInt64(records.count), from: AccountID(.site, site))
            }
            model = try mean.result()
            guard let expected = [1: Self.first, 20: Self.twentieth][round] else { continue }
            for (found, expected) in zip(model.flat, expected) {
                #expect(abs(Double(found) - expected) < 1e-5, "round \(round)")
            }
        }
        let labels = study.heldOut.map(\.label)
        let logits = try trainer.logits(model, features: study.heldOut.map(\.features))
        let pairs = try concordance(logits: logits, labels: labels)
        let auc = try #require(pairs.auc)
        #expect(abs(auc - 0.98666) < 1e-5)
        #expect(try correctAnswers(logits: logits, labels: labels) == 105)
    }
}
