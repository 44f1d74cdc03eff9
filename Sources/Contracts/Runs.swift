import Cryptography
package import Ledger
package import Wire

/// Under it the newest run's number stands as a sequence.
package let newestRunKey: [UInt8] = [0, 0, 0, 0]

package func roundKey(_ run: UInt32, _ round: UInt32) -> [UInt8] {
    bigEndian(run) + bigEndian(round)
}

extension ChangeSet {
    package mutating func newestRun() -> UInt32 {
        UInt32(
            clamping: value(WireSequenceState.self, .runs, newestRunKey)?.last ?? 0)
    }

    package mutating func run(_ number: UInt32) -> WireRunState? {
        number == 0 ? nil : value(WireRunState.self, .runs, bigEndian(number))
    }

    mutating func setRun(_ state: WireRunState) {
        set(.runs, bigEndian(state.number), to: state)
    }

    package mutating func round(_ run: UInt32, _ round: UInt32) -> WireRoundState? {
        value(WireRoundState.self, .rounds, roundKey(run, round))
    }
}

extension WireRunState {
    package var isActive: Bool { !stopped && !finished }

    /// Last height for reference offers.
    package func offersUntil(_ agreement: WireAgreement) -> UInt64 {
        Height(startedHeight).advanced(by: UInt64(agreement.training.roundDeadline)).value
    }
}

/// Records a voter's word, newest in place of an earlier one, voters ascending.
private func record(_ word: WireVoterWord, in words: inout [WireVoterWord]) {
    words.removeAll { $0.voter == word.voter }
    let place = words.firstIndex { word.voter.utf8.lexicographicallyPrecedes($0.voter.utf8) }
    words.insert(word, at: place ?? words.count)
}

func word(of voter: AccountID, _ hash: Digest, in words: inout [WireVoterWord]) {
    var word = WireVoterWord()
    word.voter = voter.text
    word.hash = data(hash.bytes)
    record(word, in: &words)
}

/// Whether a quorum of voters said the same.
func isQuorum(for hash: Digest, in words: [WireVoterWord], _ context: BlockContext) -> Bool {
    words.count { [UInt8]($0.hash) == hash.bytes && isVoter($0, context.voters) }
        >= context.voters.quorum
}

/// Whether a quorum of the voters said the same, whatever it is; who has left counts no more.
package func hasQuorum(of voters: VoterSet, in words: [WireVoterWord]) -> Bool {
    Dictionary(grouping: words.filter { isVoter($0, voters) }, by: \.hash)
        .values.contains { $0.count >= voters.quorum }
}

private func isVoter(_ word: WireVoterWord, _ voters: VoterSet) -> Bool {
    AccountID(word.voter).map { voters.keys[$0] != nil } ?? false
}

/// Whether the signer may start and stop runs: the coordinator, and who is paid for the model.
///
/// Any site may enrol a developer, so the role alone says nothing.
private func governsRuns(_ call: Call) -> Bool {
    call.signer == call.context.coordinator
        || call.context.agreement.rewards.developers.contains { $0.account == call.signer.text }
}

/// `run.start`: the coordinator or a developer of the agreement starts a training run.
func start(_ body: WireRunStart, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    try call.require(governsRuns(call), else: .notPermitted)
    try call.require(
        body.initialModel.count == 32 && body.rounds <= 100_000, else: .malformedField)
    let newest = changes.newestRun()
    try call.require(changes.run(newest)?.isActive != true, else: .runActive)
    try call.require(body.run == newest + 1, else: .noRun)
    let most = call.context.agreement.training.rounds
    try call.require(body.rounds <= most, else: .tooManyRounds)
    var sequence = WireSequenceState()
    sequence.last = UInt64(body.run)
    changes.set(.runs, newestRunKey, to: sequence)
    var state = WireRunState()
    state.number = body.run
    state.initialModel = body.initialModel
    state.model = body.initialModel
    state.rounds = body.rounds == 0 ? most : body.rounds
    state.startedHeight = call.height
    state.roster = call.context.voters.accounts.filter { $0.role == .site }.map(\.text)
    changes.setRun(state)
    if changes.bytes(.models, [UInt8](body.initialModel)) == nil {
        var model = WireModelState()
        model.run = body.run
        changes.set(.models, [UInt8](body.initialModel), to: model)
    }
    changes.setDue(state.offersUntil(call.context.agreement) + 1, .offers, String(body.run))
}

/// `run.stop`: the run ends; a round that is open is given up.
func stop(_ body: WireRunStop, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    try call.require(governsRuns(call), else: .notPermitted)
    guard var state = changes.run(body.run) else { throw .noRun }
    try call.require(state.isActive, else: .runOver)
    state.stopped = true
    if let round = changes.round(body.run, state.opened), !round.isClosed {
        changes.clearDue(round.deadline + 1, .round, roundID(body.run, state.opened))
    }
    if state.referenceRoot.isEmpty {
        changes.clearDue(
            state.offersUntil(call.context.agreement) + 1, .offers, String(body.run))
    }
    changes.setRun(state)
}

/// `reference.offer`: a site names the blob of its held-out records.
func offer(
    _ body: WireReferenceOffer, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(body.records.count == 32, else: .malformedField)
    guard var state = changes.run(body.run) else { throw .noRun }
    try call.require(state.isActive, else: .runOver)
    try call.require(state.roster.contains(call.signer.text), else: .notOnRoster)
    try call.require(state.referenceRoot.isEmpty, else: .referenceFixed)
    try call.require(
        !state.offers.contains { $0.site == call.signer.text }, else: .alreadyOffered)
    try call.require(call.height <= state.offersUntil(call.context.agreement), else: .offersOver)
    var offer = WireOfferState()
    offer.site = call.signer.text
    offer.records = body.records
    offer.count = body.count
    let place = state.offers.firstIndex {
        offer.site.utf8.lexicographicallyPrecedes($0.site.utf8)
    }
    state.offers.insert(offer, at: place ?? state.offers.count)
    changes.setRun(state)
}

/// `reference.fix`: a voter's word on the reference set; a quorum of equal ones fixes it.
func fix(_ body: WireReferenceFix, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    guard let root = Digest(body.root), body.count > 0 else { throw .malformedField }
    guard var state = changes.run(body.run) else { throw .noRun }
    try call.require(call.context.voters.keys[call.signer] != nil, else: .notAVoter)
    try call.require(state.isActive, else: .runOver)
    try call.require(state.referenceRoot.isEmpty, else: .referenceFixed)
    let hash = Digest.sha256(root.bytes + bigEndian(body.count))
    word(of: call.signer, hash, in: &state.reference)
    if isQuorum(for: hash, in: state.reference, call.context) {
        state.referenceRoot = body.root
        state.referenceCount = body.count
        changes.clearDue(
            state.offersUntil(call.context.agreement) + 1, .offers, String(body.run))
    }
    changes.setRun(state)
}
