import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// A pass over the other nodes: blocks that are missing, then every block there is.
struct Sync {
    enum Step {
        /// For the opening of a term: a block of another branch with its ancestors.
        case fetch(rest: [Digest], chain: [(block: Block, certificate: [UInt8])], next: Digest)
        case take(after: Height, hash: Digest)
        case tell([Vote], then: (Height, Digest)?)
    }

    /// Nodes still to be asked, the present one first.
    var targets: [AccountID]
    var step: Step
    /// The request under way.
    var request: UInt64 = 0
}

/// What a request was for.
enum Pending {
    case sync
    case exchange(with: AccountID)
    case handIn(Envelope)
    case submission
    /// Passed on for a client of this site.
    case relay(to: AccountID, id: UInt64, envelope: [UInt8]?)
}

extension Core {
    static let patience: Moment = 3_000

    /// Every other node that listens, the coordinator first, then ascending by account.
    var others: [AccountID] {
        let listening = directory.filter { $0.role?.votes == true && $0 != account }.sorted()
        return listening.filter { $0 == followed } + listening.filter { $0 != followed }
    }

    func ask(_ target: AccountID, _ request: Request, _ pending: Pending) -> UInt64 {
        let id = world.nextRequest()
        requests[id] = pending
        world.send(Parcel(from: account, to: target, id: id, content: .request(request)))
        world.schedule(.timeout(self, id), after: Self.patience)
        return id
    }

    /// A response that somebody still waits for; a late one is dropped.
    func receive(_ response: Response?, to id: UInt64) throws {
        guard let pending = requests.removeValue(forKey: id) else { return }
        let answer: Result<Response, Unanswered> =
            switch response {
            case .failure(let code, _)?: .failure(.refused(code: code))
            case let response?: .success(response)
            case nil: .failure(.timedOut)
            }
        switch pending {
        case .sync:
            guard sync?.request == id else { return }
            try advanceSync(answer)
        case .exchange: try hear(answer)
        case .handIn(let envelope): try handedIn(envelope, answer)
        case .submission: try submitted(answer)
        case .relay(let client, let request, let envelope):
            try relay(answer, to: client, id: request, envelope: envelope)
        }
    }

    // MARK: following

    func wakeSync() throws {
        isWoken = true
        guard sync == nil else { return }
        try follow()
    }

    private func follow() throws {
        isWoken = false
        sync = Sync(targets: others, step: .take(after: .genesis, hash: .zero))
        try askFirstTarget()
    }

    private func askFirstTarget() throws {
        guard sync?.targets.isEmpty == false else { return try finishSync() }
        try fetchNext(missingForOpening())
    }

    private func finishSync() throws {
        sync = nil
        if isWoken { try follow() }
    }

    /// One node has told what it has; the others are asked for what an opening still needs.
    private func finishTarget() throws {
        guard missingForOpening().isEmpty else { return try tryNextTarget() }
        guard let next = aside, next != sync?.targets.first else { return try finishSync() }
        aside = nil
        sync?.targets = [next]
        try askFirstTarget()
    }

    private func tryNextTarget() throws {
        sync?.targets.removeFirst()
        try askFirstTarget()
    }

    private func fetchNext(_ rest: [Digest]) throws {
        var rest = rest
        while let hash = rest.first {
            rest.removeFirst()
            guard replica.tip(of: hash) == nil else { continue }
            return askFor(.fetch(rest: rest, chain: [], next: hash))
        }
        askFor(.take(after: replica.head.height, hash: replica.head.hash))
    }

    private func askFor(_ step: Sync.Step) {
        guard var sync, let target = sync.targets.first else { return }
        sync.step = step
        switch step {
        case .fetch(_, _, let next): sync.request = ask(target, .block(next), .sync)
        case .take(let height, let hash):
            sync.request = ask(target, .nextBlock(height: height, hash: hash), .sync)
        case .tell(let votes, _):
            guard let vote = votes.first else { return }
            world.trace { "\(account) votes for \(vote.slot) \(vote.block.short)" }
            sync.request = ask(followed, .vote(vote.encoded()), .sync)
        }
        self.sync = sync
    }

    private func advanceSync(_ answer: Result<Response, Unanswered>) throws {
        guard let sync, let target = sync.targets.first else { return }
        do {
            switch (sync.step, try answer.get()) {
            case (.fetch(let rest, let chain, let next), .block(let answer)):
                try fetched(answer, next, rest: rest, chain: chain, from: target)
            case (.take(let height, let hash), .block(let answer)):
                try took(answer, height, hash, from: target)
            case (.tell(let votes, let then), .done): try told(Array(votes.dropFirst()), then)
            default: throw Unanswered.unexpected
            }
        } catch {
            if isFatal(error) { throw error }
            try tryNextTarget()
        }
    }

    private func fetched(
        _ answer: WireBlockResponse, _ hash: Digest, rest: [Digest],
        chain: [(block: Block, certificate: [UInt8])], from target: AccountID
    ) throws {
        var chain = chain
        if !answer.block.isEmpty {
            let block = try Block(strictly: [UInt8](answer.block), network: genesis.network)
            let carried = chain.last?.block.parentCertificate?.bytes
            chain.append((block, carried ?? [UInt8](answer.certificate)))
            let next = block.header.previous
            if replica.tip(of: next) == nil, chain.count < 1_000 {
                return askFor(.fetch(rest: rest, chain: chain, next: next))
            }
        }
        for link in chain.reversed() {
            _ = try consider(link.block.bytes, certificate: link.certificate, from: target)
        }
        try fetchNext(rest)
    }

    private func took(
        _ answer: WireBlockResponse, _ height: Height, _ hash: Digest, from target: AccountID
    ) throws {
        guard !answer.block.isEmpty else {
            let settled = replica.settled
            if answer.otherBranch, height > settled.height {
                return askFor(.take(after: settled.height, hash: settled.hash))
            }
            // The coordinator may have lost the votes in a crash.
            guard target == followed else { return try finishTarget() }
            let votes = replica.votes(for: replica.head.hash)
            return try tell(votesToSend(votes, for: replica.head.hash), nil)
        }
        let bytes = [UInt8](answer.block)
        let votes: [Vote]
        switch try consider(bytes, certificate: [UInt8](answer.certificate), from: target) {
        case .executed(let own), .known(let own): votes = own
        case .missingParent, .withheld: return try finishTarget()
        }
        let block = try Block(strictly: bytes, network: genesis.network)
        try tell(votesToSend(votes, for: block.hash), (block.height, block.hash))
    }

    private func tell(_ votes: [Vote], _ then: (Height, Digest)?) throws {
        for vote in votes { try world.auditor.voted(vote, by: node) }
        // At the coordinator itself there is nobody to tell.
        try told(isFollowedByItself ? [] : votes, then)
    }

    private func told(_ votes: [Vote], _ then: (Height, Digest)?) throws {
        if !votes.isEmpty { return askFor(.tell(votes, then: then)) }
        guard let then else { return try finishTarget() }
        askFor(.take(after: then.0, hash: then.1))
    }
}
