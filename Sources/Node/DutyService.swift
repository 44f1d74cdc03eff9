import Contracts
import Cryptography
import Federation
import Ledger
import Logging
import Messaging
import ServiceLifecycle
import Storage
import Wire

/// Does what this voter owes to the run, and keeps the list of allowed peers.
struct DutyService: Service {
    static let retry = Duration.seconds(30)

    let node: RunningNode
    /// Told when the chain lists new keys for this node.
    let restart: Failure

    func run() async throws {
        let (wakeUps, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (changes, change) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await _ in node.core.settlements {
                        change.yield()
                        wake.yield()
                    }
                }
                group.addTask {
                    while !Task.isCancelled {
                        change.yield()
                        wake.yield()
                        try await Task.sleep(for: .seconds(1))
                    }
                }
                group.addTask { try await followMembers(changes) }
                group.addTask { try await follow(wakeUps) }
                try await group.endTogether()
            }
        }
    }

    /// Apart from the duties, which wait for a coordinator: a new one must be let in meanwhile.
    private func followMembers(_ changes: AsyncStream<Void>) async throws {
        var known = Standing.member
        for await _ in changes {
            let standing = try await node.core.standing()
            if standing != known { tell(standing) }
            known = standing
            if let next = try? node.home.nextMember().signingKey,
                try await node.core.awaitsKeys(next)
            {
                restart.raise(NewKeys())
            }
            guard let directory = try await node.core.changedMembers() else { continue }
            node.context.setAllowed(directory.allowed)
            node.gateway.leavers.replace(directory.leaving)
            await node.links.update(directory.nodes)
            await node.links.follow(await node.core.followed())
        }
    }

    /// Says once what becomes of this node's own member.
    private func tell(_ standing: Standing) {
        let account = node.keys.account
        switch standing {
        case .member: node.logger.notice("\(account) is a member again")
        case .leaving(let term):
            node.logger.warning(
                "most voters are for a decision that removes \(account)",
                metadata: ["term": "\(term)", "see": "tally governance show"])
        case .left(let height):
            node.logger.warning(
                "\(account) has left the network: a decision of the voters ended its keys",
                metadata: [
                    "height": "\(height)",
                    "remedy": "stop this worker, or ask the others to decide that it is back",
                ])
        }
    }

    private func follow(_ wakeUps: AsyncStream<Void>) async throws {
        let clock = ContinuousClock()
        var reported: [Duty: ContinuousClock.Instant] = [:]
        for await _ in wakeUps {
            // Who has left owes nothing.
            if case .left = try await node.core.standing() { continue }
            let owed = try await node.core.duties()
            reported = reported.filter { owed.contains($0.key) }
            for duty in owed {
                if let last = reported[duty], clock.now - last < Self.retry { continue }
                try await attempt("\(duty)") {
                    let transactions = try await node.worker.perform(duty)
                    if !transactions.isEmpty { _ = try await node.gateway.contribute(transactions) }
                    reported[duty] = clock.now
                }
            }
            try await attempt("fetching missing blobs") { try await node.worker.fetchMissing() }
        }
    }

    /// Does something that is tried again when it fails, unless the node cannot go on.
    private func attempt(_ duty: String, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            if isFatal(error) || error is CancellationError { throw error }
            node.logger.notice(
                "a duty must wait", metadata: ["duty": "\(duty)", "reason": "\(error)"])
        }
    }
}
