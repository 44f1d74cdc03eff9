import Contracts
import Cryptography
import Federation
import Ledger
import TestSupport
import Wire

/// Everything that members signed in a drawn history in which all of them follow the rules.
///
/// Coordinators and voters are the real machines; the network drops, repeats and delays, voters
/// restart, terms change hands, branches are dropped and voters change their keys.
struct HonestHistory {
    /// What one key signed.
    struct Record {
        var headers: [Block] = []
        var votes: [(vote: Vote, block: Block)] = []
        var statuses: [Status] = []
        var heads: [Head] = []
        var promises: [Promise] = []
    }

    struct Promise {
        let receipt: WireReceipt
        let envelope: Envelope
        /// The coordinator kept the envelope; else it was forgotten on purpose.
        let isHonest: Bool
        let before: Tip
    }

    static let founding = Result { () throws -> Genesis in
        var agreement = testAgreement()
        agreement.chain.inclusionPromise = 2
        return try Genesis(strictly: testGenesis(agreement))
    }

    let genesis: Genesis
    private(set) var signed: [VerifyingKey: Record] = [:]
    private(set) var owners: [VerifyingKey: AccountID] = [:]
    private(set) var voters: [AccountID: MemoryVoter] = [:]
    private(set) var openings = 0
    private var noted: Set<Vote> = []
    private var coordinators: [AccountID: Coordinator] = [:]
    /// In office for those who know of no later term.
    private(set) var acting: AccountID
    private var blocks: [Digest: Block] = [:]
    private var proposals: [Block] = []
    private var sequences: [AccountID: UInt64] = [:]
    private var term = UInt64(1)
    private var now: UInt64
    private var random: SplitMix64

    var network: NetworkID { genesis.network }

    init(seed: UInt64, steps: Int) throws {
        genesis = try Self.founding.get()
        random = SplitMix64(seed: seed)
        acting = Consortium.coordinator
        now = genesis.timeMilliseconds
        for account in Consortium.voters { try enter(account) }
        for _ in 0..<steps { try step() }
    }

    private mutating func enter(_ account: AccountID) throws {
        voters[account] = try MemoryVoter(account, genesis)
        owners[try voteKey(of: account).verifyingKey] = account
        owners[try signingKey(of: account).verifyingKey] = account
        guard account.role == .coordinator else { return }
        coordinators[account] = Coordinator(
            genesis: genesis, account: account, key: try signingKey(of: account))
    }

    private mutating func draw(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    private mutating func step() throws {
        now += 100
        switch draw(20) {
        case 0..<5: try accept(isHonest: true)
        case 5: try accept(isHonest: false)
        case 6..<13: try propose()
        case 13: try repeatBlock()
        case 14: try restart()
        case 15, 16: try signHead()
        case 17: try propose(by: coordinators.keys.sorted().randomElement(using: &random))
        default: try changeTerm()
        }
    }

    // MARK: the coordinator

    private mutating func accept(isHonest: Bool) throws {
        guard var coordinator = coordinators[acting], var voter = voters[acting],
            coordinator.isInOffice(above: voter.replica)
        else { return }
        let signer = Consortium.sites[draw(3)]
        let next = sequences[signer, default: 0] + 1
        var transaction = WireTransaction()
        transaction.consentGrant.patient = data(Digest.sha256(bigEndian(random.next())).bytes)
        transaction.consentGrant.purposes = [.training]
        let envelope = try Envelope(
            strictly: signedEnvelope(
                [transaction], signer: signer, sequence: next, notAfter: Height(.max),
                network: network, key: signingKey(of: signer)), network: network)
        guard (try? coordinator.admit(envelope, above: &voter.replica)) != nil else { return }
        let head = voter.replica.head
        let receipt = try Receipt(
            envelope: envelope.id, acceptedAfter: head.height, block: head.hash,
            promise: UInt64(genesis.agreement.chain.inclusionPromise), network: network,
            key: signingKey(of: acting))
        if isHonest {
            sequences[signer] = next
            coordinator.keep(envelope)
        }
        note(try signingKey(of: acting)) {
            $0.promises.append(
                Promise(
                    receipt: receipt.wire, envelope: envelope, isHonest: isHonest, before: head))
        }
        coordinators[acting] = coordinator
        voters[acting] = voter
    }

    private mutating func propose(by account: AccountID? = nil) throws {
        let account = account ?? acting
        guard var coordinator = coordinators[account], var voter = voters[account] else { return }
        if let certificate = coordinator.newestCertificate { voter.replica.learn(certificate) }
        let block = try coordinator.propose(above: &voter.replica, now: now)
        coordinators[account] = coordinator
        voters[account] = voter
        if let block {
            try publish(block, by: account)
        } else if let proposal = coordinator.proposal {
            // Not certified yet: it is sent again.
            try deliver(proposal, by: account)
        }
    }

    private mutating func publish(_ block: Block, by account: AccountID) throws {
        note(try signingKey(of: account)) { $0.headers.append(block) }
        blocks[block.hash] = block
        proposals.append(block)
        guard case .commit(let commitment)? = try voters[account]?.consider(block, now: now) else {
            return
        }
        try note(commitment.votes, for: block)
        coordinators[account]?.appended(block, needing: commitment.block.tip.terms.certifying)
        for vote in commitment.votes { _ = try coordinators[account]?.count(vote) }
        try deliver(block, by: account)
    }

    /// To a drawn set of voters, mostly to all; their votes may be lost.
    private mutating func deliver(_ block: Block, by account: AccountID) throws {
        let reach = draw(4)
        for voter in voters.keys.sorted() where reach > 0 || draw(2) == 0 {
            for vote in try consider(block, by: voter) where draw(8) > 0 {
                _ = try coordinators[account]?.count(vote)
            }
        }
    }

    /// A voter is given a block and the chain below it, and answers with its votes.
    private mutating func consider(_ block: Block, by account: AccountID) throws -> [Vote] {
        var missing = [block]
        while let last = missing.last, let parent = blocks[last.header.previous],
            voters[account]?.replica.tip(of: parent.hash) == nil,
            parent.height > voters[account]?.replica.settled.height ?? .genesis
        {
            missing.append(parent)
        }
        var votes: [Vote] = []
        for block in missing.reversed() {
            switch try voters[account]?.consider(block, now: now) {
            case .commit(let commitment)?: votes = commitment.votes
            case .known?: votes = voters[account]?.replica.votes(for: block.hash) ?? []
            default: votes = []
            }
            try note(votes, for: block)
        }
        return votes
    }

    // MARK: disturbances

    private mutating func repeatBlock() throws {
        guard let block = proposals.randomElement(using: &random) else { return }
        try deliver(block, by: block.header.proposer)
    }

    private mutating func restart() throws {
        let account = voters.keys.sorted()[draw(voters.count)]
        try voters[account]?.restart()
    }

    private mutating func signHead() throws {
        let account = voters.keys.sorted()[draw(voters.count)]
        guard let settled = voters[account]?.replica.settled else { return }
        let key = try signingKey(of: account)
        let head = try Head(
            account: account, settled: settled.slot, block: settled.hash,
            logSize: settled.log.size, logRoot: settled.log.root, network: network, key: key)
        note(key) { $0.heads.append(head) }
    }

    // MARK: terms

    /// A new coordinator, a new key of a site, or both; it may fail, and then a higher number comes.
    private mutating func changeTerm() throws {
        guard term < 5 else { return }
        term += UInt64(1 + draw(2))
        guard let present = voters[acting]?.replica.head.terms else { return }
        let successor = draw(3) == 0 ? acting : AccountID(.coordinator, "office-\(term)")
        if voters[successor] == nil { try enter(successor) }
        var keys = present.newest.voters.keys
        var members: [AccountID: [UInt8]] = [:]
        var leaving: [AccountID] = []
        if successor != acting {
            keys[acting] = nil
            leaving = [acting]
            keys[successor] = try voteKey(of: successor).verifyingKey
            members[successor] = try memberDocument(successor)
        }
        if draw(2) == 0 {
            let site = Consortium.sites[draw(3)]
            let key = try SigningKey(seed: Digest.sha256(Array("\(site) \(term)".utf8)).bytes)
            keys[site] = key.verifyingKey
            owners[key.verifyingKey] = site
            try voters[site]?.take(key)
            members[site] = try signedMember(
                account: site, signing: signingKey(of: site), vote: key,
                transport: Digest.sha256(Array("transport \(site)".utf8)).bytes, endpoint: "")
        }
        var wire = WireDecision()
        wire.term = term
        wire.coordinator = successor.text
        wire.coordinatorKey = data(try signingKey(of: successor).verifyingKey.bytes)
        wire.voters = VoterSet(keys: keys, majority: false).wire
        wire.members = members.sorted { $0.key < $1.key }.map { data($0.value) }
        wire.leaving = leaving.map(\.text)
        try open(Decision(strictly: wire.encoded(), network: network), by: successor)
    }

    private mutating func open(_ decision: Decision, by successor: AccountID) throws {
        var desk = TermDesk()
        desk.add(decision)
        for account in voters.keys.sorted() where draw(8) > 0 {
            try sign(decision, by: account, at: &desk)
            // The one before goes on for those who have not signed.
            if draw(4) == 0 { try propose() }
        }
        guard var coordinator = coordinators[successor] else { return }
        for missing in desk.missing(for: successor, in: try replica(of: successor)) {
            if let block = blocks[missing] { _ = try consider(block, by: successor) }
        }
        guard var voter = voters[successor],
            let plan = try desk.plan(
                for: successor, key: signingKey(of: successor).verifyingKey, in: voter.replica,
                isOpened: { _ in false }),
            // A decision made above a block that was dropped may be impossible.
            let block = try? coordinator.open(
                plan.opening, above: plan.parent, certificate: plan.certificate,
                replica: &voter.replica, now: now)
        else { return }
        coordinators[successor] = coordinator
        voters[successor] = voter
        openings += 1
        acting = successor
        try publish(block, by: successor)
    }

    private func replica(of account: AccountID) throws -> Replica {
        struct NoVoter: Error {}
        guard let voter = voters[account] else { throw NoVoter() }
        return voter.replica
    }

    private mutating func sign(
        _ decision: Decision, by account: AccountID, at desk: inout TermDesk
    ) throws {
        desk.add(
            try Ballot(
                decision: decision.hash, voter: account, network: network,
                key: voteKey(of: account)))
        guard let commitment = try? voters[account]?.status(for: decision) else { return }
        for status in commitment.statuses {
            for key in owners.keys where status.isSigned(by: key, network: network) {
                signed[key, default: Record()].statuses.append(status)
            }
        }
        // A report may be lost.
        guard draw(8) > 0 else { return }
        for report in commitment.reports { desk.add(try WireStatusReport(strictly: report)) }
    }

    // MARK: records

    private mutating func note(_ key: SigningKey, _ change: (inout Record) -> Void) {
        change(&signed[key.verifyingKey, default: Record()])
    }

    private mutating func note(_ votes: [Vote], for block: Block) throws {
        for vote in votes where noted.insert(vote).inserted {
            for (key, owner) in owners where owner == vote.voter {
                guard vote.isSigned(by: key, network: network) else { continue }
                signed[key, default: Record()].votes.append((vote, block))
            }
        }
    }

    /// The block of a hash, whoever proposed it.
    func block(_ hash: Digest) -> Block? { blocks[hash] }
}
