package import Contracts
import Cryptography
package import Ledger
package import Storage
package import Wire

/// What is to change in the next term; the rest stays as it is.
package struct DecisionDraft: Sendable {
    /// Takes the place of the present coordinator, in office and among the voters.
    package var coordinator: Member?
    /// Sites that enter, and developers and a treasurer that a new agreement names.
    package var entering: [Member] = []
    /// New keys of members.
    package var rekeyed: [Member] = []
    package var leaving: [AccountID] = []
    package var agreement: WireAgreement?
    package var reason = ""
    /// Nil: the lowest number that no decision under way uses, above the open term and above what
    /// this node promised.
    package var term: Term?

    package init() {}

    package enum Fault: Error, Hashable, Sendable, CustomStringConvertible {
        case nothing
        case notACoordinator(AccountID)
        case alreadyMember(AccountID)
        case unknown(AccountID)
        case coordinatorLeaves(AccountID)
        case noVoters
        case malformed(TermFault)
        case impossible(Rejection)

        package var description: String {
            switch self {
            case .nothing:
                "the decision changes nothing; name a coordinator, a member or an agreement"
            case .notACoordinator(let account):
                "\(account) is no coordinator; make keys with `tally key new --role coordinator`"
            case .alreadyMember(let account):
                "\(account) is a member already; new keys go with --rekey"
            case .unknown(let account): "\(account) is no member; see `tally member list`"
            case .coordinatorLeaves(let account):
                "\(account) coordinates; name who takes its place with --coordinator"
            case .noVoters: "nobody would be left to vote"
            case .malformed(let fault): "the decision: \(fault)"
            case .impossible(let rejection): "the decision cannot be carried out: \(rejection)"
            }
        }
    }

    /// Makes the document, checked against a node's settled chain.
    ///
    /// - Parameter store: the node's ledger.
    /// - Returns: the decision.
    /// - Throws: ``Fault``, or an error of the ledger file.
    package func decision(on store: LedgerStore) throws -> Decision {
        let tip = try store.tip()
        let rules = tip.terms.newest
        var leaving = Set(leaving)
        var voters = rules.voters.keys
        var coordinator = rules.coordinator
        var coordinatorKey = rules.coordinatorKey
        for account in leaving where try store.listedMember(account) == nil {
            throw Fault.unknown(account)
        }
        if let new = self.coordinator {
            guard new.account.role == .coordinator else {
                throw Fault.notACoordinator(new.account)
            }
            if new.account != rules.coordinator {
                leaving.insert(rules.coordinator)
            }
            (coordinator, coordinatorKey) = (new.account, new.signingKey)
        }
        for member in entering {
            guard try store.listedMember(member.account) == nil else {
                throw Fault.alreadyMember(member.account)
            }
        }
        for member in rekeyed {
            guard try store.listedMember(member.account) != nil else {
                throw Fault.unknown(member.account)
            }
            if member.account == coordinator { coordinatorKey = member.signingKey }
        }
        guard !leaving.contains(coordinator) else { throw Fault.coordinatorLeaves(coordinator) }
        let members = ([self.coordinator].compactMap { $0 } + entering + rekeyed)
            .sorted { $0.account < $1.account }
        for member in members {
            if let key = member.voteKey { voters[member.account] = key }
        }
        for account in leaving { voters[account] = nil }
        guard !voters.isEmpty else { throw Fault.noVoters }
        guard !members.isEmpty || !leaving.isEmpty || agreement != nil else { throw Fault.nothing }
        var wire = WireDecision()
        wire.term = try (term ?? freeTerm(on: store, above: rules.term)).value
        wire.coordinator = coordinator.text
        wire.coordinatorKey = data(coordinatorKey.bytes)
        let majority = (agreement ?? rules.agreement).chain.majorityQuorum
        wire.voters = VoterSet(keys: voters, majority: majority).wire
        wire.members = members.map { data($0.bytes) }
        wire.leaving = leaving.sorted().map(\.text)
        if let agreement { wire.agreement = agreement }
        wire.reason = reason
        let decision: Decision
        do {
            decision = try Decision(strictly: wire.encoded(), network: store.genesis.network)
        } catch { throw Fault.malformed(error) }
        guard decision.term <= rules.term || decision.follows(rules.term) else {
            throw Fault.malformed(.tooFarAbove(rules.term))
        }
        do {
            try check(
                decision, on: SQLiteState(store), at: tip.height.next, inForce: rules.agreement)
        } catch { throw Fault.impossible(error) }
        return decision
    }

    /// The lowest number that can be proposed; not the highest one used and one more, for whoever
    /// proposes at the end of what is allowed would leave no number to others.
    private func freeTerm(on store: LedgerStore, above open: Term) throws -> Term {
        let used = Set(try store.decisions(above: open).map(\.term.value))
        var number = max(open, try store.journal().term).value + 1
        while used.contains(number) { number += 1 }
        return Term(number)
    }
}
