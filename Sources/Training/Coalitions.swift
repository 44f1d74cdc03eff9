package import Ledger

/// One site's recorded update of a round, and the player it belongs to.
package struct CoalitionUpdate: Sendable {
    package let site: AccountID
    /// The bit of the registered legal entity in coalition masks; several sites may share one.
    package let player: Int
    /// nᵢ, the examples the update was trained on.
    package let weight: UInt64
    package let update: Parameters

    package init(site: AccountID, player: Int, weight: UInt64, update: Parameters) {
        self.site = site
        self.player = player
        self.weight = weight
        self.update = update
    }
}

/// The records on which contributions are measured, fixed before round 1.
package struct ReferenceSet: Hashable, Sendable {
    package let features: [[Float]]
    package let labels: [Bool]
    package let utility: Utility

    package init(features: [[Float]], labels: [Bool], utility: Utility) {
        self.features = features
        self.labels = labels
        self.utility = utility
    }

    /// v(∅).
    package var floor: Int64 { utility.floor(labels: labels) }

    /// The utility of a model.
    package func value(
        of model: Parameters, trainer: any Trainer
    ) throws(CoalitionError) -> Int64 {
        let logits: [Double]
        do { logits = try trainer.logits(model, features: features) } catch {
            throw .training(error)
        }
        do { return try utility.value(logits: logits, labels: labels) } catch {
            throw .evaluation(error)
        }
    }
}

/// Why coalitions cannot be valued.
package enum CoalitionError: Error, Hashable, Sendable {
    /// Not one model for each of the coalitions of 1 to 12 players.
    case modelCount(Int)
    case playerOutOfRange(AccountID)
    case aggregation(AggregationError)
    case training(TrainingError)
    case evaluation(EvaluationError)
}

/// A coalition's model one round later: plus the weighted mean of its own updates of that round.
///
/// The coalition of all gets the very bits of the round's model.
///
/// - Parameters:
///   - model: the coalition's model after the round before; the run's initial one at first.
///   - coalition: players by bit.
///   - updates: the round's accepted updates, in ascending order of site.
/// - Returns: the model one round on, unchanged when nobody of the coalition took part.
/// - Throws: ``CoalitionError`` for a player beyond the mask or updates that cannot be averaged.
package func advance(
    _ model: Parameters, coalition: UInt32, updates: [CoalitionUpdate]
) throws(CoalitionError) -> Parameters {
    var own: [CoalitionUpdate] = []
    for update in updates {
        guard (0..<32).contains(update.player) else { throw .playerOutOfRange(update.site) }
        if coalition >> UInt32(update.player) & 1 == 1 { own.append(update) }
    }
    guard !own.isEmpty else { return model }
    do throws(AggregationError) {
        var mean = WeightedMean(base: model)
        for update in own { try mean.add(update.update, weight: update.weight, from: update.site) }
        return try mean.result()
    } catch {
        throw .aggregation(error)
    }
}

/// Takes every coalition's model through one round and values it: v_r(S) for each mask S.
///
/// - Parameters:
///   - models: 2ⁿ, by coalition mask, for n of 1 to 12 players; moved one round on.
///   - updates: the round's accepted updates, in ascending order of site.
///   - reference: what utilities are counted on.
///   - trainer: what turns parameters into logits.
/// - Returns: 2ⁿ utilities; that of the empty coalition is the floor.
/// - Throws: ``CoalitionError``; `models` is then as it was.
package func coalitionUtilities(
    models: inout [Parameters], updates: [CoalitionUpdate], reference: ReferenceSet,
    trainer: any Trainer
) throws(CoalitionError) -> [Int64] {
    let players = models.count.trailingZeroBitCount
    guard models.count == 1 << players, (1...12).contains(players) else {
        throw .modelCount(models.count)
    }
    for update in updates where !(0..<players).contains(update.player) {
        throw .playerOutOfRange(update.site)
    }
    var (advanced, utilities) = (models, [reference.floor])
    for coalition in 1..<models.count {
        advanced[coalition] = try advance(
            models[coalition], coalition: UInt32(coalition), updates: updates)
        utilities.append(try reference.value(of: advanced[coalition], trainer: trainer))
    }
    models = advanced
    return utilities
}
