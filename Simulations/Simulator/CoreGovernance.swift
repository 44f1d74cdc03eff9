import Contracts
import Cryptography
import Federation
import Ledger
import Wire

extension Core {
    /// Whom this node follows: the coordinator that it signed a status for, else the head's.
    func chosenCoordinator() -> AccountID {
        let open = terms.newest.term
        if replica.journal.term > open {
            let promised = desk.decisions(above: open).last { decision in
                decision.term == replica.journal.term
                    && desk.reports(for: decision.hash).contains { $0.status.voter == account }
            }
            if let promised { return promised.coordinator }
        }
        let isOwn =
            account.role == .coordinator
            && supportedDecisions().contains { $0.coordinator == account }
        return isOwn ? account : terms.newest.coordinator
    }

    func supportedDecisions() -> [Decision] {
        desk.supported(
            by: replica.decidingSets, above: terms.newest.term, network: genesis.network)
    }

    /// Takes a person's word on a decision.
    func take(decision: Decision, isBallot: Bool) throws {
        let highest = max(terms.newest.term, replica.journal.term)
        guard decision.term > highest else { throw Refused("notAbove") }
        do {
            try replica.check(decision)
        } catch { throw Refused("impossible", "\(error)") }
        let key = replica.speakingSets.lazy.compactMap { set in
            self.keys.voteKeys.first { set.keys[self.account] == $0.verifyingKey }
        }.first
        guard let key else { throw Refused("noVoter") }
        try disk.keep(decision)
        desk.add(decision)
        guard isBallot else { return }
        let ballot = try Ballot(
            decision: decision.hash, voter: account, network: genesis.network, key: key)
        try disk.keep(ballot)
        desk.add(ballot)
        membersChanged = true
        try signStatuses()
    }

    /// Signs a status where this organisation's people are for a decision and a quorum agrees.
    func signHonestStatuses() throws {
        for decision in supportedDecisions() where decision.term > replica.journal.term {
            guard disk.tables.statuses[decision.term] == nil,
                desk.ballots(for: decision.hash).contains(where: { $0.voter == account })
            else {
                continue
            }
            let commitment: StatusCommitment
            do throws(StatusRefusal) {
                commitment = try replica.status(for: decision)
            } catch { continue }
            try disk.commit(commitment)
            if world.fault != .termCheckMissing { replica.advance(by: commitment) }
            world.trace { "\(account) signs a status for term \(decision.term)" }
            for status in commitment.statuses { try world.auditor.signed(status, by: node) }
            for report in try disk.statusReports() { desk.add(report) }
        }
    }

    // MARK: what was handed in

    /// Keeps an envelope that the coordinator accepted, until it is settled.
    func keep(_ bytes: [UInt8], receipt wire: WireReceipt) throws {
        let envelope: Envelope
        do {
            envelope = try Envelope(strictly: bytes, network: genesis.network)
        } catch { throw Refused("malformed", "\(error)") }
        let coordinators =
            [terms.newest.coordinatorKey]
            + desk.decisions(above: terms.newest.term).map(\.coordinatorKey)
        let receipt = coordinators.lazy.compactMap {
            Receipt(wire, coordinator: $0, network: self.genesis.network)
        }.first
        guard let receipt, receipt.envelope == envelope.id else {
            throw Refused("refused", "a foreign receipt")
        }
        guard world.fault != .handedInForgotten else { return }
        try disk.accept(envelope, receipt: wire.encoded())
    }

    func handedIn() -> [Envelope] { disk.waitingEnvelopes().filter { !holds($0.id) } }

    var hasChangedHands: Bool { replica.settled.terms.terms.count > 1 }

    /// Whether the settled chain lists the keys to come, while it runs with the ones before.
    func awaitsNewKeys() throws -> Bool {
        guard let listed = try disk.listedMember(account) else { return false }
        let signing = [UInt8](listed.signingKey)
        return signing != keys.signing.verifyingKey.bytes
            && keys.next?.verifyingKey.bytes == signing
    }

    // MARK: telling each other

    func honestExchange() throws -> WireExchange {
        var exchange = WireExchange()
        let tip = replica.settled
        let head: Head
        if let known = knownHead, known.tip == tip.hash {
            head = known.head
        } else {
            head = try Head(
                account: account, settled: tip.slot, block: tip.hash, logSize: tip.log.size,
                logRoot: tip.log.root, network: genesis.network, key: keys.signing)
            knownHead = (tip.hash, head)
            try world.auditor.signed(head, by: node)
        }
        exchange.head = data(head.bytes)
        if let newest = replica.unsettled.last?.block {
            exchange.newest.header = data(newest.headerBytes)
            exchange.newest.signature = data(newest.signature.bytes)
        }
        desk.tell(&exchange, for: account, above: terms.newest.term)
        return exchange
    }

    /// Takes what another node tells.
    func learn(from exchange: WireExchange) throws {
        let news = desk.learn(
            from: exchange, for: account, sets: replica.speakingSets, above: terms.newest.term,
            network: genesis.network
        ) { decision in (try? replica.check(decision)) != nil }
        guard !news.isEmpty else { return }
        if !news.forgotten.isEmpty { try disk.forget(news.forgotten) }
        for decision in news.decisions { try disk.keep(decision) }
        for ballot in news.ballots { try disk.keep(ballot) }
        membersChanged = true
        try signStatuses()
        wakeUp()
    }

    // MARK: opening a term

    func missingForOpening() -> [Digest] {
        coordinator == nil ? [] : desk.missing(for: account, in: replica)
    }

    func opening(by coordinator: inout Coordinator) throws -> Block? {
        desk.forget(upTo: terms.newest.term)
        for key in [keys.signing, keys.next].compactMap({ $0 }) {
            let plan = desk.plan(
                for: account, key: key.verifyingKey, in: replica,
                isOpened: disk.hasFirstProposal(of:))
            guard let plan else { continue }
            coordinator.use(key)
            do {
                return try coordinator.open(
                    plan.opening, above: plan.parent, certificate: plan.certificate,
                    replica: &replica, now: now)
            } catch { throw Violation("opening", "\(account) cannot open a term: \(error)") }
        }
        return nil
    }

    /// Everybody with keys, and whoever a decision brings in that most voters are for.
    func refreshMembers() throws {
        guard membersChanged else { return }
        membersChanged = false
        directory = []
        for entry in disk.state.entries(in: .members, prefix: [], limit: .max) {
            let member = try WireMemberState(strictly: entry.value)
            guard member.endedHeight == 0, let account = AccountID(member.document.account)
            else { continue }
            directory.insert(account)
        }
        let opened = replica.unsettled.compactMap(\.block.opening?.decision)
        for decision in opened + supportedDecisions() {
            for member in decision.members { directory.insert(member.account) }
        }
        followed = chosenCoordinator()
    }
}
