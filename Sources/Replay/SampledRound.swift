import Contracts
import Cryptography
import Ledger
import Training
import Wire

/// Entities for which contribution values are exact; above it orders of joining are drawn.
package let mostExactPlayers = 12

/// Orders of joining that are drawn above twelve entities.
package let drawnOrders = 64

/// A round's updates by player, decoded once: each is needed by half of all coalitions.
private struct DecodedUpdates {
    let updates: [CoalitionUpdate]

    /// The model of these players one round on.
    func advanced(_ model: Parameters, _ coalition: Set<Int>) throws -> Parameters {
        let own = updates.filter { coalition.contains($0.player) }
        guard !own.isEmpty else { return model }
        var mean = WeightedMean(base: model)
        for update in own { try mean.add(update.update, weight: update.weight, from: update.site) }
        return try mean.result()
    }
}

extension RoundChecker {
    /// Values more than twelve entities by orders of joining, the same in every round of a run.
    ///
    /// The orders follow from the run's number and its reference set, which a quorum fixed before
    /// anybody trained; so a coalition meets its own model of the round before. It holds all
    /// updates of a round in memory.
    ///
    /// - Returns: the round's model.
    func sampled(
        _ run: WireRunState, _ number: UInt32, _ accepted: [AcceptedUpdate],
        _ reference: ReferenceSet, _ values: inout WireRoundValues,
        _ models: inout some CoalitionModels
    ) throws -> Parameters {
        let players = run.roster.count
        let seed = Digest.sha256(
            Array("tally/shapley/v1".utf8) + bigEndian(run.number) + [UInt8](run.referenceRoot))
        let orders = joiningOrders(players: players, count: drawnOrders, seed: seed)
        let updates = try decoded(accepted)
        var earlier: [DecodedUpdates]?
        func model(_ place: Int, _ coalition: Set<Int>) throws -> Parameters {
            var model = try startingModel(run)
            if number > 1 {
                if let kept = try models.model(of: place, run: run.number, after: number - 1) {
                    model = kept
                } else {
                    let past = try earlier ?? (1..<number).map { try decoded(recorded(run, $0)) }
                    earlier = past
                    for round in past { model = try round.advanced(model, coalition) }
                }
            }
            let next = try updates.advanced(model, coalition)
            try models.keep(next, of: place, run: run.number, after: number)
            return next
        }
        let all = Set(0..<players)
        let whole = try model(0, all)
        let best = try reference.value(of: whole, trainer: trainer)
        var coalition: Set<Int> = []
        let shapley = try sampledShapleyValues(
            players: players, orders: orders, floor: reference.floor
        ) { order, size, last in
            coalition = size == 1 ? [last] : coalition.union([last])
            guard size < players else { return best }
            let place = 1 + order * players + size
            return try reference.value(of: model(place, coalition), trainer: trainer)
        }
        for player in 0..<players {
            let place = 1 + (orders.count + 1) * players + player
            let without = try model(place, all.subtracting([player]))
            values.sites[player].shapley = shapley.numerators[player]
            values.sites[player].shapleyHalfWidth = UInt64(shapley.halfWidths[player])
            values.sites[player].leaveOneOut =
                best - (try reference.value(of: without, trainer: trainer))
        }
        values.shapleyDenominator = UInt64(shapley.permutations)
        values.permutations = UInt32(shapley.permutations)
        return whole
    }

    private func decoded(_ accepted: [AcceptedUpdate]) throws -> DecodedUpdates {
        DecodedUpdates(
            updates: try accepted.map {
                CoalitionUpdate(
                    site: $0.site, player: $0.player, weight: $0.weight,
                    update: try Safetensors(decoding: try file($0.digest)).parameters)
            })
    }
}
