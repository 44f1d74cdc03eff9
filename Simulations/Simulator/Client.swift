import Contracts
import Cryptography
import Ledger
import Wire

/// A reader at its site: commits, waits, reveals.
final class Client {
    unowned let world: World
    let account: AccountID
    let site: AccountID
    private var submitter: Submitter
    private var request: UInt64 = 0
    private var askedAt: Moment = 0
    private var random: SplitMix64
    /// Transactions under way or done, so that none is sent twice.
    private var sent: Set<String> = []

    init(world: World, account: AccountID, site: AccountID) throws {
        self.world = world
        self.account = account
        self.site = site
        submitter = Submitter(account: account, key: try world.cabinet.signingKey(of: account))
        random = SplitMix64(seed: world.options.seed, concern: "client \(account)")
    }

    /// Looks what is to be read, and whether an answer is overdue.
    func act() throws {
        world.schedule(.client(self), after: random.number(in: UInt64(80)...400))
        if request != 0, world.now > askedAt + Core.patience {
            request = 0
            try perform(try submitter.handle(.failure(.timedOut), network: world.genesis.network))
        }
        guard !submitter.isBusy, world.isWorking, let core = world.node(site)?.core else { return }
        let transactions = try answers(core)
        guard !transactions.isEmpty else { return }
        submitter.add(transactions)
        try perform(submitter.next())
    }

    func receive(_ response: Response, to id: UInt64) throws {
        guard id == request else { return }
        request = 0
        let answer: Result<Response, Unanswered> =
            if case .failure(let code, _) = response {
                .failure(.refused(code: code))
            } else {
                .success(response)
            }
        try perform(try submitter.handle(answer, network: world.genesis.network))
    }

    private func perform(_ step: Submitter.Step) throws {
        switch step {
        case .ask(let content):
            if case .submit = content, let envelope = submitter.envelope {
                world.auditor.issued(envelope)
            }
            request = world.nextRequest()
            askedAt = world.now
            world.send(Parcel(from: account, to: site, id: request, content: .request(content)))
        case .accepted(let envelope, let receipt):
            world.auditor.acknowledged(envelope, receipt, keeper: world.node(site))
            try perform(submitter.next())
        case .dropped:
            sent = []
            try perform(submitter.next())
        case .idle: break
        }
    }

    /// What this reader sees: mostly the item's own grade, else a neighbour, seldom anything.
    private func grade(of item: ItemID) -> UInt32 {
        let own = 1 + Int(named("grade \(item)")[0] % 5)
        let drawn = named("grade \(item) \(account)")
        switch drawn[0] % 16 {
        case 0: return UInt32(1 + drawn[1] % 5)
        case 1: return UInt32(max(1, own - 1))
        case 2: return UInt32(min(5, own + 1))
        default: return UInt32(own)
        }
    }

    private func answers(_ core: Core) throws -> [WireTransaction] {
        var transactions: [WireTransaction] = []
        let secret = try world.cabinet.signingKey(of: account).derivedSecret(label: "answers")
        let network = world.genesis.network
        for entry in core.disk.state.entries(in: .items, prefix: [], limit: .max) {
            let state = try WireItemState(strictly: entry.value)
            guard let text = String(validating: entry.key.key, as: UTF8.self),
                let item = ItemID(text), state.outcome == .open,
                state.readers.contains(account.text)
            else { continue }
            let salt = answerSalt(secret: secret, network: network, item: item)
            let grade = grade(of: item)
            let own = state.answers.first { $0.annotator == account.text }
            var transaction = WireTransaction()
            if own == nil {
                guard sent.insert("commit \(item)").inserted, !random.chance(100) else { continue }
                transaction.answerCommit.item = item.text
                transaction.answerCommit.commitment = data(
                    answerCommitment(
                        network: network, item: item, annotator: account, answer: .grade(grade),
                        salt: salt
                    ).bytes)
            } else if own?.grade == 0, state.revealFrom != 0 {
                guard sent.insert("reveal \(item)").inserted, !random.chance(100) else { continue }
                transaction.answerReveal.item = item.text
                transaction.answerReveal.grade = grade
                transaction.answerReveal.salt = data(salt)
            } else {
                continue
            }
            transactions.append(transaction)
        }
        return transactions
    }
}
