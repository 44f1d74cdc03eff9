import Contracts
import Cryptography
import Ledger
import Logging
import Messaging
import Storage
import Wire

/// Connections to other nodes for a repair; none is made before one is needed.
actor RepairPeers {
    /// For an answer.
    private static let patience = Duration.seconds(3)
    /// For one blob from one node.
    private static let blobPatience = Duration.seconds(120)

    private let home: Home
    private let passphrase: String?
    private let account: AccountID
    private let logger: Logger
    private var context: MessagingContext?
    private var clients: [MemberDirectory.Node: RequestClient] = [:]
    /// Who gave the last block.
    private var preferred: MemberDirectory.Node?

    private var ordered: [(node: MemberDirectory.Node, client: RequestClient)] {
        clients.sorted { one, other in
            if (one.key == preferred) != (other.key == preferred) { return one.key == preferred }
            return one.key.account < other.key.account
        }.map { ($0.key, $0.value) }
    }

    init(home: Home, passphrase: String?, account: AccountID, logger: Logger) {
        self.home = home
        self.passphrase = passphrase
        self.account = account
        self.logger = logger
    }

    /// Who answered, and why others did not.
    struct Answers {
        var answered = 0
        var failures: [String] = []
    }

    /// Fetches one block that follows on the head, from the first node that has it.
    ///
    /// One at a time, for the block after it may be whole in the old file.
    func fetchNext(_ rebuild: LedgerRebuild) async throws -> Answers {
        if preferred == nil { try await connect(rebuild) }
        var answers = Answers()
        for (node, client) in ordered {
            do {
                let head = await rebuild.head
                var request = WireRequest()
                request.nextBlock.height = head.height.value
                request.nextBlock.hash = data(head.hash.bytes)
                guard
                    case .block(let answer) = try await client.ask(
                        request, timeout: Self.patience)
                else { throw UnexpectedAnswer(request: "block") }
                answers.answered += 1
                guard !answer.block.isEmpty else { continue }
                let isTaken = try await rebuild.take(
                    fetched: [UInt8](answer.block), certificate: [UInt8](answer.certificate))
                if isTaken {
                    preferred = node
                    return answers
                }
                answers.failures.append("\(node.account): its block breaks a rule")
            } catch {
                if isFatal(error) || error is CancellationError { throw error }
                answers.failures.append("\(node.account): \(error)")
            }
        }
        // The blocks since may list nodes, or other addresses of them.
        preferred = nil
        return answers
    }

    /// Fetches a blob from whoever has it.
    ///
    /// - Returns: whether it is here now.
    func fetch(_ digest: Digest, into store: BlobStore) async throws -> Bool {
        if context == nil { try connect(try directory()) }
        for (_, client) in ordered {
            do {
                try await download(
                    digest, into: store, via: client, maximum: NodeLimits.blobBytes,
                    limits: TransferLimits(timeout: Self.patience, overall: Self.blobPatience),
                    progress: { _, _ in })
                return true
            } catch {
                if isFatal(error) || error is CancellationError { throw error }
                logger.notice(
                    "a blob is not to be had",
                    metadata: ["blob": "\(digest)", "reason": "\(error)"])
            }
        }
        return false
    }

    private func connect(_ rebuild: LedgerRebuild) async throws {
        try connect(
            (try await rebuild.directory(), try await rebuild.listed(account)))
    }

    /// Nodes as the home's own ledger lists them, and the signing key it lists for this node.
    private func directory() throws -> (MemberDirectory, [UInt8]?) {
        let ledger = try LedgerStore.reading(at: home.ledger)
        defer { try? ledger.close() }
        var directory = MemberDirectory()
        for entry in try SQLiteState(ledger).entries(in: .members, prefix: [], limit: .max) {
            directory.add(try WireMemberState(strictly: entry.value).document)
        }
        return (directory, try ledger.listedMember(account).map { [UInt8]($0.signingKey) })
    }

    private func connect(_ known: (directory: MemberDirectory, listed: [UInt8]?)) throws {
        let context = try self.context ?? MessagingContext(logger: logger)
        self.context = context
        let key = try home.keyRing(passphrase: passphrase, listed: known.listed).transport
        for node in known.directory.nodes.values.joined()
        where node.account != account && clients[node] == nil {
            clients[node] = try RequestClient(
                context: context, endpoint: node.endpoint, serverKey: node.transportKey, key: key)
        }
    }

    func close() async {
        for client in clients.values { await client.close() }
        clients = [:]
        await context?.shutdown()
        context = nil
    }
}
