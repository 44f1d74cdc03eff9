import Contracts
import Cryptography
import Federation
import Ledger
import Logging
import Messaging
import Storage
import Wire

/// Answers requests: a peer may do what its role allows, the local socket belongs to the owner.
struct Gateway: Sendable {
    let core: NodeCore
    let blobs: BlobServer
    let reports: ReportDesk
    let snapshots: SnapshotDesk
    let uplink: Uplink
    let submitter: Submitter
    let desk: PatientDesk?
    let leavers: Leavers
    /// Told when the ledger file failed: the node must stop.
    let failure: Failure
    let logger: Logger
    private let exchanging = Turns()

    init(
        core: NodeCore, blobs: BlobServer, reports: ReportDesk, snapshots: SnapshotDesk,
        uplink: Uplink, submitter: Submitter, desk: PatientDesk?, leavers: Leavers,
        failure: Failure, logger: Logger
    ) {
        self.core = core
        self.blobs = blobs
        self.reports = reports
        self.snapshots = snapshots
        self.uplink = uplink
        self.submitter = submitter
        self.desk = desk
        self.leavers = leavers
        self.failure = failure
        self.logger = logger
    }

    func answer(_ peer: Peer, _ body: [UInt8]) async -> [UInt8] {
        var response: WireResponse
        do {
            let request = try WireRequest(strictly: body)
            guard let content = request.body else { throw Refusal.malformed }
            try permit(peer, content)
            response = try await respond(to: content, from: peer)
        } catch {
            response = refusal(error)
        }
        return response.encoded()
    }

    enum Refusal: Error, CustomStringConvertible {
        case malformed
        case notPermitted(String)
        case coordinatorUnreachable
        /// An exchange of the account is under way.
        case busy
        case noMember(String, Height)

        var description: String {
            switch self {
            case .malformed: "the request is malformed"
            case .notPermitted(let who): "\(who) may not ask this here"
            case .coordinatorUnreachable: "this node has no way to the coordinator"
            case .noMember(let who, let height):
                "\(who) is no longer a member: a decision of the voters ended its keys at height "
                    + "\(height)"
            case .busy: "an exchange of this account is under way; one at a time"
            }
        }
    }

    private func refusal(_ error: any Error) -> WireResponse {
        var response = WireResponse()
        response.failure.message = "\(error)"
        switch error {
        case let failure as RemoteFailure:
            response.failure.code = failure.code
        case let refusal as AdmissionRefusal: response.failure.code = refusal.code
        case BlobError.missing(let digest):
            response.failure.code = BlobRefusal.blobMissing.rawValue
            response.failure.message =
                "blob \(digest) is not at the coordinator; upload it before naming it"
        case BlobError.tooLarge: response.failure.code = BlobRefusal.blobTooLarge.rawValue
        case let error as ReportError: response.failure.code = error.code
        case is StorageError, is StateFault:
            response.failure.code = "storage"
            failure.raise(error)
        case is WireFault, Refusal.malformed: response.failure.code = "malformed"
        case Refusal.notPermitted: response.failure.code = "notPermitted"
        case Refusal.busy: response.failure.code = "busy"
        case Refusal.noMember: response.failure.code = "noMember"
        case is MessagingError: response.failure.code = "unreachable"
        default: response.failure.code = "refused"
        }
        return response
    }

    /// Readers and patients ask and submit; replicas and blobs are for voters; the rest is local.
    private func permit(_ peer: Peer, _ request: WireRequest.OneOf_Body) throws {
        guard case .member(let text) = peer else { return }
        if let ended = leavers[text] {
            guard case .nextBlock(let body) = request, body.height < .max,
                Leavers.mayAsk(forBlockAt: Height(body.height).next, ended: ended)
            else { throw Refusal.noMember(text, ended) }
            return
        }
        switch request {
        case .status, .submit, .envelopeStatus, .nextSequence, .query: return
        case .nextBlock, .block, .vote, .exchange, .evidence, .blobOffer, .blobChunk, .blobRead,
            .snapshot, .bucketRoots, .stateChunk, .history:
            guard AccountID(text)?.role?.votes == true else { throw Refusal.notPermitted(text) }
        case .consent, .records, .contribute, .runStart, .runStop, .patient, .ballot:
            throw Refusal.notPermitted(text)
        }
    }

    private func respond(
        to request: WireRequest.OneOf_Body, from peer: Peer
    ) async throws -> WireResponse {
        var response = WireResponse()
        switch request {
        case .status: response.status = await core.status()
        case .submit(let body):
            response.receipt = try await uplink.submit([UInt8](body.envelope))
        case .nextBlock(let body):
            guard let hash = Digest(body.hash) else { throw Refusal.malformed }
            response.block = try await core.block(after: Height(body.height), hash: hash)
        case .block(let body):
            guard let hash = Digest(body.hash) else { throw Refusal.malformed }
            response.block = await core.block(hash)
        case .exchange(let body):
            // Each costs many signature checks: one at a time, of each account.
            guard exchanging.begin("\(peer)") else { throw Refusal.busy }
            defer { exchanging.end("\(peer)") }
            warn(of: try await core.learn(from: body), about: core.account, logger)
            response.exchange = try await core.exchange()
        case .evidence(let body):
            guard let offence = Digest(body.offence) else { throw Refusal.malformed }
            response.evidence.evidence = data(await core.evidence(of: offence)?.bytes ?? [])
        case .vote(let body):
            try await count([UInt8](body.vote), from: peer)
            response.done = WireDone()
        case .blobOffer(let body): response = await blobs.answer(body, from: "\(peer)")
        case .blobChunk(let body): response = await blobs.answer(body, from: "\(peer)")
        case .blobRead(let body): response = await blobs.answer(body)
        case .envelopeStatus(let body):
            response.envelopeStatus = try await status(of: [UInt8](body.envelope))
        case .nextSequence(let body):
            response.nextSequence = try await nextSequence(body.account)
        case .query(let body):
            var asker: AccountID?
            if case .member(let text) = peer { asker = AccountID(text) }
            let answer = try await reports.answer(body.report, body.arguments, asker: asker)
            response.report.json = data(answer.json)
            response.report.proof = data(answer.proof.settled?.bytes ?? [])
            response.report.posting = data(answer.proof.posting?.bytes ?? [])
        case .snapshot: response.snapshot = try await snapshots.offer()
        case .bucketRoots(let body): response.bucketRoots = await snapshots.bucketRoots(body)
        case .stateChunk(let body): response.stateChunk = try await snapshots.stateChunk(body)
        case .history(let body):
            guard let hash = Digest(body.hash) else { throw Refusal.malformed }
            response.history = try await snapshots.history(
                downFrom: Height(body.height), hash: hash)
        default: try await respondLocally(to: request, &response)
        }
        return response
    }

    private func respondLocally(
        to request: WireRequest.OneOf_Body, _ response: inout WireResponse
    ) async throws {
        let transactions: [WireTransaction]
        switch request {
        case .consent(let body): transactions = try siteDesk().consent(body)
        case .records(let body): transactions = try siteDesk().records(body)
        case .contribute(let body):
            transactions = try body.transactions.map {
                try WireTransaction(strictly: [UInt8]($0))
            }
        case .runStart(let body):
            transactions = try await core.runStart(
                rounds: body.rounds, from: [UInt8](body.model))
        case .runStop: transactions = try await core.runStop()
        case .ballot(let body):
            try await core.take(
                decision: [UInt8](body.decision), isBallot: !body.proposeOnly)
            response.done = WireDone()
            return
        case .patient(let body):
            response.patient.pseudonym = data(try siteDesk().pseudonym(of: body.patient))
            return
        default: throw Refusal.malformed
        }
        response.envelopes.envelopes = try await contribute(transactions).map { data($0.bytes) }
    }

    private func siteDesk() throws -> PatientDesk {
        guard let desk else {
            throw Refusal.notPermitted("a coordinator has no patients: it")
        }
        return desk
    }

    /// Signs with this node's key and hands in.
    func contribute(_ transactions: [WireTransaction]) async throws -> [Digest] {
        guard !transactions.isEmpty else { return [] }
        if case .left(let height) = try await core.standing() {
            throw Refusal.noMember("\(core.account)", height)
        }
        if uplink.links.isCoordinator { return [try await core.contribute(transactions)] }
        return try await submitter.submit(transactions)
    }

    private func count(_ vote: [UInt8], from peer: Peer) async throws {
        guard case .member(let text) = peer, try Vote(strictly: vote).voter.text == text else {
            throw Refusal.notPermitted("\(peer) speaking for another")
        }
        try await core.count(vote)
    }

    private func status(of envelope: [UInt8]) async throws -> WireEnvelopeStatus {
        guard let id = Digest(envelope) else { throw Refusal.malformed }
        let own = try await core.status(of: id)
        guard own.stage == Stage.unknown.rawValue, let client = uplink.links.coordinator else {
            return own
        }
        var elsewhere = try await client.status(of: id)
        // Settled is what this replica has settled; until then it is certified at most.
        if elsewhere.stage == Stage.settled.rawValue {
            elsewhere.stage = Stage.certified.rawValue
        }
        return elsewhere
    }

    private func nextSequence(_ text: String) async throws -> WireNextSequence {
        guard let account = AccountID(text) else { throw Refusal.malformed }
        return try await uplink.nextSequence(of: account)
    }
}

/// The way to the coordinator, which may be this node itself.
struct Uplink: EnvelopeSink {
    let core: NodeCore
    let links: PeerLinks

    func nextSequence(of account: AccountID) async throws -> WireNextSequence {
        if links.isCoordinator { return await core.nextSequence(of: account) }
        return try await client().nextSequence(of: account)
    }

    /// Hands an envelope in and keeps it until it is settled, for a coordinator may be lost.
    func submit(_ envelope: [UInt8]) async throws -> WireReceipt {
        if links.isCoordinator { return try await core.submit(envelope) }
        let receipt = try await client().submit(envelope)
        try await core.keep(envelope, receipt: receipt)
        return receipt
    }

    private func client() throws -> RequestClient {
        guard let client = links.coordinator else { throw Gateway.Refusal.coordinatorUnreachable }
        return client
    }
}

/// Builds reports on a queue of its own, since it reads the ledger file.
actor ReportDesk {
    private let executor = QueueExecutor(label: "tally.reports")
    private let reporter: Reporter

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ reporter: Reporter) { self.reporter = reporter }

    /// A report; a balance for a member comes with a proof of its height and newest posting.
    ///
    /// Both are of one height: when a block settles in between, all is read again.
    func answer(
        _ name: String, _ arguments: [String], asker: AccountID?
    ) throws -> (json: [UInt8], proof: BalanceProof) {
        for _ in 0..<Reporter.attempts {
            let json = try reporter.answer(report: name, arguments: arguments, asker: asker)
            guard name == ReportName.balance.rawValue, let asker else {
                return (json, BalanceProof())
            }
            let account = arguments.first.flatMap { AccountID($0) } ?? asker
            let height = Height(try report(BalanceReport.self, json: json).settledHeight)
            if let proof = try Prover(reporter.store).proof(ofBalance: account, at: height) {
                return (json, proof)
            }
        }
        throw ReportError.busy
    }
}
