import Contracts
import Cryptography
import Federation
import Ledger
import Replay
import Wire

extension NodeCore {
    /// What starts a run: the open period is closed first, when it can be.
    ///
    /// - Parameters:
    ///   - rounds: 0: as the agreement says.
    ///   - model: of an earlier round, whose contributors get a share of what the new run earns;
    ///     empty: the agreement's initial model.
    /// - Returns: the transactions for the coordinator to sign.
    /// - Throws: ``HomeError`` with what to do first, or an error of the state or the blobs.
    func runStart(rounds: UInt32, from model: [UInt8] = []) throws -> [WireTransaction] {
        guard account == terms.newest.coordinator else {
            throw HomeError.foreign("runs are started at the coordinator's home")
        }
        var changes = ChangeSet(above: headState)
        let newest = changes.newestRun()
        guard changes.run(newest)?.isActive != true else {
            throw HomeError.foreign(
                "run \(newest) is under way; wait for it or end it with `tally run stop`")
        }
        let most = terms.newest.agreement.training.rounds
        guard rounds <= most else {
            throw HomeError.foreign(
                "the agreement allows \(most) rounds a run, and \(rounds) are asked for")
        }
        if !model.isEmpty {
            guard let state = changes.value(WireModelState.self, .models, model), state.round > 0
            else {
                throw HomeError.foreign(
                    "no round on the chain made the model \(hexString(model)); `tally rounds` names "
                        + "those that did, and without --from a run starts from the agreement's "
                        + "initial model")
            }
        }
        let period = changes.openPeriod()
        if let fault = changes.fault { throw fault }
        var transactions: [WireTransaction] = []
        if period.isReady(terms.newest.agreement.annotation), period.decided == period.items {
            let isAwaited =
                !changes.entries(in: .gold, limit: 1).isEmpty
                && replica.head.height.value < period.goldUntil
            guard !isAwaited else {
                throw HomeError.foreign(
                    "gold of the open period is not shown yet; "
                        + "\(terms.newest.agreement.annotation.goldOrganisation) runs `tally gold "
                        + "reveal`, or it counts as withheld after height \(period.goldUntil); then start the run"
                )
            }
            var close = WireTransaction()
            close.periodClose.period = period.number
            transactions.append(close)
        }
        let initial = model.isEmpty ? try keepInitialModel().bytes : model
        transactions.append(.startRun(newest + 1, from: initial, rounds: rounds))
        return transactions
    }

    func runStop() throws -> [WireTransaction] {
        var changes = ChangeSet(above: headState)
        let newest = changes.newestRun()
        guard changes.run(newest)?.isActive == true else {
            throw HomeError.foreign("no run is under way")
        }
        return [.stopRun(newest)]
    }
}
