import Contracts
import Cryptography
import Federation
import Ledger
import Logging
import Messaging
import Replay
import Storage
import Training
import Wire

/// Why a duty cannot be done now; it is tried again.
struct DutyFailure: Error, CustomStringConvertible {
    let description: String
}

/// Does what a voter owes to a run: offers, trains, checks, and says so in transactions.
///
/// It runs on a queue of its own: training and hashing never hold up the ledger. Every duty can be
/// done again with the same result, so a crash in the middle costs time only.
actor DutyWorker {
    private let executor = QueueExecutor(label: "tally.duties")
    private let account: AccountID
    private let state: SQLiteState
    private let blobs: BlobStore
    private let patients: PatientStore?
    private let contentKey: [UInt8]
    /// From which the secrets of drawn panels come; nil at a node that registers no records.
    private let panelKey: [UInt8]?
    private let logger: Logger
    private let links: PeerLinks
    private let store: LedgerStore
    private var coalitions: CoalitionFiles
    private var references: [UInt32: AssembledReference] = [:]
    /// The newest run and its closed rounds, when all blobs of the chain were last seen here.
    private var complete: (run: UInt32, closed: UInt32)?

    /// Secrets that are opened in one go; what remains follows with the next settled block.
    private static let seedsAtOnce = 5_000

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(
        home: Home, store: LedgerStore, blobs: BlobStore, patients: PatientStore?,
        account: AccountID, links: PeerLinks, logger: Logger
    ) throws {
        state = SQLiteState(store)
        self.account = account
        self.blobs = blobs
        self.patients = patients
        self.links = links
        self.store = store
        self.logger = logger
        contentKey = try home.contentKey()
        panelKey = account.role == .site ? try home.panelKey() : nil
        coalitions = try CoalitionFiles(folder: home.cache)
    }

    /// Does a duty.
    ///
    /// - Returns: the transactions that report it; none when there is nothing to say.
    func perform(_ duty: Duty) async throws -> [WireTransaction] {
        switch duty {
        case .offerReference(let run): try await offerReference(run)
        case .fixReference(let run): try await fixReference(run)
        case .stopRun(let run): [stop(run)]
        case .openRound(let run, let round): try openRound(run, round)
        case .train(let run, let round): try await train(run, round)
        case .checkRound(let run, let round): try await checkRound(run, round)
        case .closeRound(let run, let round): try await closeRound(run, round)
        case .openSeeds(let registered): try openSeeds(registered)
        }
    }

    private func run(_ number: UInt32) throws -> WireRunState {
        var changes = ChangeSet(above: state)
        let run = changes.run(number)
        if let fault = changes.fault { throw fault }
        guard let run else { throw DutyFailure(description: "run \(number) is not on the chain") }
        return run
    }

    /// The agreement that was in force when a run started.
    private func agreement(of run: WireRunState) throws -> WireAgreement {
        try store.terms().rules(at: Height(run.startedHeight)).agreement
    }

    private func round(_ run: UInt32, _ number: UInt32) throws -> WireRoundState {
        var changes = ChangeSet(above: state)
        let round = changes.round(run, number)
        if let fault = changes.fault { throw fault }
        guard let round else {
            throw DutyFailure(description: "round \(run).\(number) is not on the chain")
        }
        return round
    }

    // MARK: panels

    /// Opens this site's secrets of the items registered at a height, the first of them first.
    private func openSeeds(_ registered: UInt64) throws -> [WireTransaction] {
        guard let panelKey else { return [] }
        let prefix = seedKeys(of: account.name, registered: registered)
        let waiting = try state.entries(in: .seeds, prefix: prefix, limit: Self.seedsAtOnce)
        return waiting.compactMap { entry in
            guard let item = ItemID(String(decoding: entry.key.key[prefix.count...], as: UTF8.self))
            else { return nil }
            var transaction = WireTransaction()
            transaction.seedOpen.item = item.text
            transaction.seedOpen.secret = data(
                panelSecret(secret: panelKey, network: store.genesis.network, item: item))
            return transaction
        }
    }

    // MARK: the reference set

    private func offerReference(_ number: UInt32) async throws -> [WireTransaction] {
        let run = try run(number)
        let offer = try usable(
            .evaluation, openedAt: run.startedHeight, try agreement(of: run).training
        ).offer
        let digest = try blobs.put(offer.encoded())
        try await send(digest)
        let count = offer.records.count
        logger.info(
            "offering reference records", metadata: ["run": "\(number)", "records": "\(count)"])
        return [.offer(number, digest.bytes, count: UInt32(count))]
    }

    /// What of this site's records may be used in something that was opened at a height.
    private func usable(
        _ use: WireRecordUse, openedAt height: UInt64, _ rule: WireTrainingRule
    ) throws -> SiteRecords {
        var changes = ChangeSet(above: state)
        let records = SiteRecords(
            try patients?.records() ?? [], of: account, use: use, openedAt: height, rule,
            contentKey: contentKey, in: &changes)
        if let fault = changes.fault { throw fault }
        for item in records.others {
            logger.warning(
                "a record that is held is not the one that was registered; it is not used",
                metadata: ["record": "\(item)"])
        }
        return records
    }

    private func reference(_ run: WireRunState) async throws -> AssembledReference {
        if let known = references[run.number], !run.referenceRoot.isEmpty { return known }
        for offer in run.offers { try await fetch([UInt8](offer.records)) }
        let blobs = blobs
        let assembled = try assembleReference(
            run, agreement: try agreement(of: run), state: state, contentKey: contentKey,
            blob: { try blobs.read($0, upTo: $1) })
        for (site, reason) in assembled.refused {
            logger.warning(
                "reference offer left out", metadata: ["site": "\(site)", "reason": "\(reason)"])
        }
        if !run.referenceRoot.isEmpty {
            guard assembled.root.bytes == [UInt8](run.referenceRoot) else {
                throw DutyFailure(
                    description: "the reference set of run \(run.number) is not the one that the "
                        + "voters fixed; run `tally verify`")
            }
            references = [run.number: assembled]
        }
        return assembled
    }

    private func fixReference(_ number: UInt32) async throws -> [WireTransaction] {
        let assembled = try await reference(try run(number))
        guard assembled.count > 0 else {
            return links.isCoordinator ? [stop(number)] : []
        }
        return [.fix(number, assembled.root.bytes, count: assembled.count)]
    }

    /// Ends a run without a single usable record for evaluation.
    private func stop(_ number: UInt32) -> WireTransaction {
        logger.warning(
            "no site offered a usable record for evaluation; the run is stopped",
            metadata: ["run": "\(number)", "remedy": "tally data add, then tally run start"])
        return .stopRun(number)
    }

    // MARK: rounds

    private func openRound(_ number: UInt32, _ round: UInt32) throws -> [WireTransaction] {
        [.openRound(number, round, base: [UInt8](try run(number).model))]
    }

    private func train(_ number: UInt32, _ roundNumber: UInt32) async throws -> [WireTransaction] {
        let round = try round(number, roundNumber)
        let run = try run(number)
        let rule = try agreement(of: run).training
        guard let trainer = trainer(of: rule), let base = Digest(round.baseModel) else {
            return []
        }
        try await fetch(base.bytes)
        var own = try usable(.training, openedAt: round.openedHeight, rule)
        let mostPatients = BlobBounds.patients(sites: run.roster.count)
        let leftOut = own.keep(patients: mostPatients)
        if leftOut > 0 {
            logger.warning(
                "records of more patients than a round can name are left out",
                metadata: ["records": "\(leftOut)", "patients": "\(mostPatients)"])
        }
        let records = try own.usable.map { held, record in
            guard let values = features(ofCanonicalRecord: held.content, names: rule.features)
            else { throw DutyFailure(description: "record \(held.item) is damaged") }
            return TrainingRecord(item: held.item, features: values, label: record.label)
        }
        guard !records.isEmpty else {
            throw DutyFailure(description: "no approved, consented record to train on")
        }
        let delta = try trainer.train(
            base: try Safetensors(decoding: try blobs.read(base)).parameters, records: records,
            plan: TrainingPlan(
                localSteps: Int(rule.localSteps),
                learningRate: Double(rule.learningRateMillionths) / 1_000_000,
                l2: Double(rule.l2Millionths) / 1_000_000))
        let update = try blobs.put(try Safetensors(delta).encoded())
        let manifest = try blobs.put(own.manifest.encoded())
        try await send(update)
        try await send(manifest)
        logger.info(
            "trained",
            metadata: ["round": "\(number).\(roundNumber)", "records": "\(records.count)"])
        return [
            .submit(
                number, roundNumber, update: update.bytes, manifest: manifest.bytes,
                examples: UInt32(records.count))
        ]
    }

    private func check(_ number: UInt32, _ roundNumber: UInt32) async throws -> RoundResult {
        let run = try run(number)
        let round = try round(number, roundNumber)
        try await fetch([UInt8](run.initialModel))
        try await fetch([UInt8](round.baseModel))
        for update in round.updates {
            try await fetch([UInt8](update.update))
            try await fetch([UInt8](update.manifest))
        }
        let reference = try await reference(run)
        let blobs = blobs
        let checker = try RoundChecker(
            agreement: try agreement(of: run), state: state, blob: { try blobs.read($0, upTo: $1) })
        let result = try checker.check(
            run, round: roundNumber, reference: reference.set, models: &coalitions)
        _ = try blobs.put(result.model)
        return result
    }

    private func checkRound(
        _ number: UInt32, _ roundNumber: UInt32
    ) async throws -> [WireTransaction] {
        let result = try await check(number, roundNumber)
        logger.info("checked", metadata: ["round": "\(number).\(roundNumber)"])
        return [
            .checked(
                number, roundNumber, model: result.modelDigest.bytes,
                values: Digest.sha256(result.values).bytes)
        ]
    }

    private func closeRound(
        _ number: UInt32, _ roundNumber: UInt32
    ) async throws -> [WireTransaction] {
        let result = try await check(number, roundNumber)
        return [
            .closeRound(
                number, roundNumber, model: result.modelDigest.bytes, values: result.values)
        ]
    }

    // MARK: blobs

    /// Fetches what the chain names and this site has not: a round may have closed without it.
    func fetchMissing() async throws {
        var changes = ChangeSet(above: state)
        let run = changes.newestRun()
        let closed = changes.run(run)?.closed ?? 0
        if let fault = changes.fault { throw fault }
        if let complete, complete == (run, closed) { return }
        for blob in try namedBlobs(in: state) where !blobs.contains(blob.digest) {
            do { try await fetch(blob.digest.bytes) } catch let refusal as DutyFailure {
                logger.warning(
                    "a blob of the chain is not to be had here",
                    metadata: ["blob": "\(blob.name)", "reason": "\(refusal)"])
            }
        }
        complete = (run, closed)
    }

    /// Has blobs of the chain looked for again, since one of them is gone.
    func lookAgain() { complete = nil }

    /// Uploads to the coordinator, which every voter can fetch from.
    private func send(_ digest: Digest) async throws {
        guard !links.isCoordinator else { return }
        guard let client = links.coordinator else { throw Gateway.Refusal.coordinatorUnreachable }
        try await upload(digest, from: blobs, via: client, progress: { _, _ in })
    }

    /// Fetches a blob from the coordinator, else from whoever else has it.
    private func fetch(_ bytes: [UInt8]) async throws {
        guard let digest = Digest(bytes) else {
            throw DutyFailure(description: "a blob has a malformed name")
        }
        guard !blobs.contains(digest) else { return }
        var reasons: [String] = []
        for (account, client) in links.others {
            do {
                return try await download(
                    digest, into: blobs, via: client, maximum: NodeLimits.blobBytes,
                    progress: { _, _ in })
            } catch let error as StorageError {
                throw error
            } catch is CancellationError {
                throw CancellationError()
            } catch { reasons.append("\(account): \(error)") }
        }
        throw DutyFailure(
            description:
                "blob \(digest) is nowhere to be had yet (\(reasons.joined(separator: "; ")))")
    }
}

/// The sizes that a node bears.
package enum NodeLimits {
    /// Of one blob.
    package static let blobBytes: UInt64 = 4 << 30
    /// Of one message between nodes: a block and its frame.
    package static let messageBytes = 8 << 20
}
