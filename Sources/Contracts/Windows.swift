import Ledger
import Wire

extension ChangeSet {
    /// Moves penalties, of readers each once, into escrow until an appeal window ends.
    ///
    /// An amount of nil takes all of the stake.
    mutating func penalise(
        _ penalties: [(AccountID, TokenAmount?)], window id: String, rule: String, _ call: Call
    ) throws(Rejection) {
        var state = WireWindowState()
        state.rule = rule
        for (reader, wanted) in penalties.sorted(by: { $0.0 < $1.0 }) {
            let stake = ConsortiumAccount.stake(of: reader)
            let left = balance(of: stake, at: call.height)
            let amount = min(left, wanted ?? left)
            guard amount > .zero else { continue }
            try post(
                from: stake, to: ConsortiumAccount.appeal(of: reader), amount, rule: rule, call)
            state.appeals.append(reader.text)
            state.microtokens.append(amount.microtokens)
        }
        guard !state.appeals.isEmpty else { return }
        openWindow(id, state, call)
    }

    /// Opens an appeal window; with nothing in escrow it only keeps time until pay is available.
    mutating func openWindow(_ id: String, _ window: WireWindowState, _ call: Call) {
        var window = window
        let length = UInt64(call.context.agreement.rewards.appealWindow)
        window.untilHeight = call.context.height.advanced(by: length).value
        set(.windows, Array(id.utf8), to: window)
        setDue(window.untilHeight + 1, .window, id)
    }
}

/// `window.expire`: what waited in escrow for an appeal returns to the reserve.
func expire(
    _ body: WireWindowExpire, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    let key = Array(body.window.utf8)
    guard let window = changes.value(WireWindowState.self, .windows, key) else {
        throw .unknownWindow
    }
    try call.require(call.height > window.untilHeight, else: .windowOpen)
    for (text, microtokens) in zip(window.appeals, window.microtokens) {
        guard let reader = AccountID(text) else { throw .malformedField }
        // A granted appeal took its part back before, so that less may be there.
        let escrow = ConsortiumAccount.appeal(of: reader)
        let left = changes.balance(of: escrow, at: call.height)
        try changes.post(
            from: escrow, to: ConsortiumAccount.reserve,
            min(left, TokenAmount(microtokens: microtokens)), rule: window.rule, call)
    }
    changes.set(.windows, key, nil)
    if changes.bytes(.roundShares, key) != nil { changes.set(.roundShares, key, nil) }
    changes.clearDue(window.untilHeight + 1, .window, body.window)
}
