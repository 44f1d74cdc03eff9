import Contracts
import Cryptography
import Federation
import Ledger
import Logging
import Messaging
import ServiceLifecycle
import Storage
import Wire

extension ThrowingTaskGroup<Void, any Error> {
    /// Waits for all tasks; the first error ends the others, which `waitForAll` would wait for.
    mutating func endTogether() async throws {
        do { while try await next() != nil {} } catch is CancellationError {}
    }
}

/// Whether an error ends the node: its own ledger cannot be read or written, is damaged, or
/// forgot a vote.
func isFatal(_ error: any Error) -> Bool {
    error is StorageError || error is StateFault || error is DamagedLedger
        || error is ForgottenVote
}

/// Proposes blocks when they are due and announces them.
struct ProposalService: Service {
    static let turn = Duration.milliseconds(12)

    let core: NodeCore
    let hints: HintPublisher

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !Task.isCancelled {
                        try await Task.sleep(for: Self.turn)
                        core.wakeUp()
                    }
                }
                group.addTask {
                    for await _ in core.wakeUps {
                        guard let height = try await core.propose() else { continue }
                        await hints.publish(bigEndian(height.value))
                    }
                }
                try await group.endTogether()
            }
        }
    }
}

/// Follows the chain: fetches blocks from the coordinator, else from others, and votes.
struct SyncService: Service {
    static let poll = Duration.milliseconds(500)
    /// While nothing new comes, one other node is asked so often.
    static let turn = Duration.seconds(1)
    /// For an answer; a request that a lost connection swallowed is asked again after it.
    static let patience = Duration.seconds(3)

    let node: RunningNode
    /// Told when a snapshot is to take the place of an empty ledger.
    let swap: Failure
    var core: NodeCore { node.core }
    var links: PeerLinks { node.links }
    var logger: Logger { node.logger }

    func run() async throws {
        let (wakeUps, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await _ in links.wakeUps { wake.yield() }
                }
                group.addTask {
                    while !Task.isCancelled {
                        wake.yield()
                        try await Task.sleep(for: Self.poll)
                    }
                }
                group.addTask {
                    for await _ in wakeUps { try await follow() }
                }
                group.addTask { try await askInTurn() }
                try await group.endTogether()
            }
        }
    }

    /// Takes every block there is, from the first node that answers.
    ///
    /// A coordinator that does not answer is asked again later; meanwhile others tell what they
    /// have, which may be the first block of a new term. A coordinator-to-be goes on asking while
    /// it lacks a block that a status names: who answers first may be the liar it replaces.
    private func follow() async throws {
        for (account, client) in links.others where !Task.isCancelled {
            if try await join(from: account, client) { return swap.raise(LedgerSwap.snapshot) }
            guard try await catchUp(with: account, client) else { continue }
            guard await !core.missingForOpening().isEmpty else { return }
        }
    }

    /// Asks, while nothing new comes, one node after another what it has.
    ///
    /// Who is asked first may lie, or have been left behind by a term that it never heard of, and
    /// answers all the same. Apart from following, which no silent node shall hold up.
    private func askInTurn() async throws {
        var (turn, last) = (0, await core.head.hash)
        while !Task.isCancelled {
            try await Task.sleep(for: Self.turn)
            let head = await core.head.hash
            defer { last = head }
            let others = links.others.filter { $0.client !== links.coordinator }
            guard head == last, !others.isEmpty else { continue }
            // An empty ledger begins with a snapshot, if anybody has one.
            if node.joining != nil, try await core.isEmpty() { continue }
            turn = (turn + 1) % others.count
            _ = try await catchUp(with: others[turn].account, others[turn].client)
        }
    }

    /// Takes what one node has.
    ///
    /// - Returns: whether it answered, and with nothing that breaks a rule.
    private func catchUp(with account: AccountID, _ client: RequestClient) async throws -> Bool {
        do {
            try await fetchMissing(from: client)
            try await takeBlocks(from: client, isCoordinator: client === links.coordinator)
            links.answered(account)
            return true
        } catch let refusal as BlockRefusal {
            logger.error(
                "refusing a block",
                metadata: ["from": "\(account)", "reason": "\(refusal)"])
        } catch is CancellationError {
        } catch {
            if isFatal(error) { throw error }
            await links.failed(account, client, error)
        }
        return false
    }

    /// Takes a snapshot of one node for an empty ledger.
    ///
    /// - Returns: whether one is there, which is to take the ledger's place.
    private func join(from account: AccountID, _ client: RequestClient) async throws -> Bool {
        guard let joining = node.joining, try await core.isEmpty() else { return false }
        do {
            return try await joining.fetch(from: account, client)
        } catch let refusal as SnapshotRefusal {
            logger.error(
                "refusing a snapshot",
                metadata: ["from": "\(account)", "reason": "\(refusal)"])
        } catch is CancellationError {
        } catch {
            if isFatal(error) { throw error }
            await links.failed(account, client, error)
        }
        return false
    }

    private func takeBlocks(from client: RequestClient, isCoordinator: Bool) async throws {
        var walk = BlockWalk(from: await core.head)
        while !Task.isCancelled {
            var request = WireRequest()
            request.nextBlock.height = walk.height.value
            request.nextBlock.hash = data(walk.hash.bytes)
            let answer = try await block(request, from: client)
            guard !answer.block.isEmpty else {
                if answer.otherBranch, walk.turnBack(to: await core.settledTip) { continue }
                // The coordinator may have lost the votes in a crash.
                if isCoordinator { try await send(await core.votesForHead()) }
                return
            }
            let bytes = [UInt8](answer.block)
            let votes: [Vote]
            switch try await core.consider(bytes, certificate: [UInt8](answer.certificate)) {
            case .executed(let own), .known(let own): votes = own
            case .missingParent: return
            case .withheld:
                logger.warning("withholding a vote: the block's time is ahead of this clock")
                return
            }
            try await send(votes)
            let block = try Block(strictly: bytes, network: core.genesis.network)
            guard walk.advance(to: block) else { throw UnexpectedAnswer(request: "next block") }
        }
    }

    private func block(
        _ request: WireRequest, from client: RequestClient
    ) async throws -> WireBlockResponse {
        guard case .block(let answer) = try await client.ask(request, timeout: Self.patience)
        else { throw UnexpectedAnswer(request: "block") }
        return answer
    }

    /// Fetches, for the opening of a term, blocks of other branches with their ancestors.
    private func fetchMissing(from client: RequestClient) async throws {
        for hash in await core.missingForOpening() {
            var chain: [(block: [UInt8], certificate: [UInt8])] = []
            var next = hash
            while await !core.knows(next), chain.count < 1_000 {
                var request = WireRequest()
                request.block.hash = data(next.bytes)
                let answer = try await block(request, from: client)
                guard !answer.block.isEmpty else { break }
                let block = try Block(
                    strictly: [UInt8](answer.block), network: core.genesis.network)
                let known = chain.last.flatMap {
                    try? Block(strictly: $0.block, network: core.genesis.network)
                }
                chain.append(
                    (
                        block.bytes,
                        known?.parentCertificate?.bytes ?? [UInt8](answer.certificate)
                    ))
                next = block.header.previous
            }
            for link in chain.reversed() {
                _ = try await core.consider(link.block, certificate: link.certificate)
            }
        }
    }

    private func send(_ votes: [Vote]) async throws {
        guard let client = links.coordinator else { return }
        for vote in votes {
            var request = WireRequest()
            request.vote.vote = data(vote.encoded())
            _ = try await client.ask(request, timeout: Self.patience)
        }
    }
}

/// Tells other nodes of this one's head and of terms to come, and hears theirs: the heartbeat.
struct ExchangeService: Service {
    static let heartbeat = Duration.seconds(1)
    static let patience = Duration.seconds(2)

    let node: RunningNode

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await beat() }
                group.addTask {
                    while !Task.isCancelled {
                        await node.links.follow(await node.core.followed())
                        try await handInAgain()
                        try await Task.sleep(for: Self.heartbeat)
                    }
                }
                try await group.endTogether()
            }
        }
    }

    /// Asks every node at every heartbeat; one that does not answer holds up nobody else's.
    private func beat() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while !Task.isCancelled {
                for (account, client) in node.links.others where node.links.begin(account) {
                    group.addTask {
                        defer { node.links.end(account) }
                        try await exchange(with: account, client)
                    }
                }
                try await Task.sleep(for: Self.heartbeat)
            }
        }
    }

    private func exchange(with account: AccountID, _ client: RequestClient) async throws {
        do {
            var request = WireRequest()
            request.exchange = try await node.core.exchange()
            guard case .exchange(let answer) = try await client.ask(request, timeout: Self.patience)
            else { throw UnexpectedAnswer(request: "exchange") }
            warn(
                of: try await node.core.learn(from: answer), about: node.keys.account, node.logger)
            try await fetchEvidence(in: answer, from: client)
        } catch is CancellationError {
        } catch let failure as RemoteFailure where failure.code == "busy" {
            // It has the one before in hand, which a slow link had this node give up.
        } catch {
            if isFatal(error) { throw error }
            await node.links.failed(account, client, error)
        }
    }

    /// Asks for evidence of offences that this node knows nothing of.
    private func fetchEvidence(
        in exchange: WireExchange, from client: RequestClient
    ) async throws {
        let told = exchange.evidence.prefix(NodeCore.evidenceLimit).compactMap { Digest($0) }
        for offence in await node.core.unknown(of: told) {
            var request = WireRequest()
            request.evidence.offence = data(offence.bytes)
            guard case .evidence(let answer) = try await client.ask(request, timeout: Self.patience)
            else { throw UnexpectedAnswer(request: "evidence") }
            // Whatever comes of it: it is not asked for again at the next heartbeat.
            await node.core.ignore(offence)
            guard !answer.evidence.isEmpty else { continue }
            do {
                try await node.core.take(evidence: [UInt8](answer.evidence))
            } catch {
                if isFatal(error) { throw error }
                node.logger.warning(
                    "evidence that another node shows convicts nobody",
                    metadata: ["reason": "\(error)"])
            }
        }
    }

    /// Hands in again what a lost coordinator had accepted, once another one is in office.
    private func handInAgain() async throws {
        guard let client = node.links.coordinator, try await node.core.hasChangedHands() else {
            return
        }
        for envelope in try await node.core.handedIn() {
            do {
                let receipt = try await client.submit(envelope.bytes)
                try await node.core.keep(envelope.bytes, receipt: receipt)
            } catch let failure as RemoteFailure
                where ["expired", "sequenceUsed"].contains(failure.code)
            {
                node.logger.warning(
                    "an envelope is lost with its coordinator: sign its transactions anew",
                    metadata: ["envelope": "\(envelope.id)", "reason": "\(failure)"])
                try await node.core.giveUp(envelope.id)
            } catch is RemoteFailure {
                // Such as a blob that the new coordinator has not fetched yet.
                continue
            } catch {
                if isFatal(error) { throw error }
                return
            }
        }
    }
}
