import Contracts
import Cryptography
import Foundation
package import Ledger
import Replay
import TestSupport
import Training
package import Wire

/// A record as a site has it, and as the chain knows it.
package struct GameRecord: Sendable {
    let item: ItemID
    let patient: [UInt8]
    let features: [Float]
    let label: Bool
    /// What the readers agreed on.
    let grade: UInt32
    var isRegistered = true
    var isDuplicate = false
}

/// A legal entity in the game: what it holds, what it says it trained on, and what it sends.
package struct Entity: Sendable {
    let site: AccountID
    var records: [GameRecord]
    /// What its manifest names; else its records.
    var manifest: [GameRecord]?
    /// Makes the update of a round from the model, by its number.
    var update: @Sendable (Parameters, UInt32) throws -> Parameters

    var named: [GameRecord] { (manifest ?? records).sorted { $0.item < $1.item } }
}

/// What a game came to.
package struct GameResult {
    /// Microtokens by account.
    package internal(set) var paid: [String: UInt64] = [:]
    /// Of the last round.
    package internal(set) var values = WireRoundValues()
    /// The first reason of a refusal, by site.
    package internal(set) var refusals: [String: String] = [:]

    /// Area under the curve of the last model.
    package var auc: Double { Double(values.utility) / Double(max(1, values.utilityMaximum)) }

    package func earned(_ accounts: [String]) -> TokenAmount {
        TokenAmount(microtokens: accounts.reduce(0) { $0 + (paid[$1] ?? 0) })
    }
}

/// A step of the game that the contracts refused: a fault of the game.
package struct GameFault: Error, CustomStringConvertible {
    package let description: String
}

/// A whole run by the real contracts and the real check of each round, without network and keys.
package struct Game {
    let agreement: WireAgreement
    let entities: [Entity]
    private let terms: TermHistory
    private let network: NetworkID
    private let coordinator: AccountID
    private var state = DictionaryState()
    private var blobs: [Digest: [UInt8]] = [:]
    private var models = CoalitionMemory()
    private var height: UInt64 = 2
    private var sent: UInt32 = 0
    private var result = GameResult()

    /// - Parameters:
    ///   - agreement: as the study has it.
    ///   - entities: the sites; one of them may hold the reference records.
    ///   - reference: registered for evaluation, offered by their own sites.
    /// - Throws: ``GameFault``, or what makes the agreement no founding document.
    package init(
        _ agreement: WireAgreement, entities: [Entity], reference: [AccountID: [GameRecord]]
    ) throws {
        self.agreement = agreement
        self.entities = entities.sorted { $0.site < $1.site }
        let coordinator = AccountID(.coordinator, "hub")
        self.coordinator = coordinator
        let genesis = try Genesis(
            strictly: genesisDocument(
                agreement: agreement,
                members: try ([coordinator] + self.entities.map(\.site) + agreement.namedAccounts)
                    .map {
                        try Member(strictly: memberDocument($0))
                    }, timeMilliseconds: 0, nonce: named("attacks")))
        terms = TermHistory(genesis: genesis)
        network = genesis.network
        state.apply(try genesisState(genesis))
        for entity in self.entities {
            for record in entity.records { register(record, of: entity.site, use: .training) }
        }
        for (site, records) in reference {
            for record in records { register(record, of: site, use: .evaluation) }
        }
        try start(reference)
    }

    private mutating func register(
        _ record: GameRecord, of site: AccountID, use: WireRecordUse
    ) {
        guard record.isRegistered else { return }
        var entry = WireRecordState()
        entry.site = site.text
        entry.patient = data(record.patient)
        entry.use = use
        entry.duplicate = record.isDuplicate
        entry.registeredHeight = 1
        var item = WireItemState()
        item.outcome = .approved
        item.grade = record.grade
        item.closedHeight = 1
        item.closeEnvelope = data(named("close"))
        var interval = WireConsentInterval()
        interval.fromHeight = 1
        interval.purposes = [.training, .evaluation]
        var consent = WireConsentState()
        consent.custodian = site.text
        consent.intervals = [interval]
        let key = Array(record.item.text.utf8)
        state.apply([
            StateKey(.records, key): entry.encoded(), StateKey(.items, key): item.encoded(),
            StateKey(.consents, record.patient): consent.encoded(),
        ])
    }

    private mutating func keep(_ bytes: [UInt8]) -> [UInt8] {
        let digest = Digest.sha256(bytes)
        blobs[digest] = bytes
        return digest.bytes
    }

    private mutating func send(_ transaction: WireTransaction, by account: AccountID) throws {
        sent += 1
        var changes = ChangeSet(above: state)
        do throws(Rejection) {
            try Contracts.apply(
                transaction, id: TransactionID(envelope: .zero, index: sent), signer: account,
                in: BlockContext(
                    network: network, terms: terms, height: Height(height),
                    previous: Consortium.blockHash(height - 1)),
                to: &changes)
        } catch { throw GameFault(description: "\(account): \(error)") }
        for posting in changes.postings where posting.debit.hasPrefix("pool/") {
            result.paid[posting.credit, default: 0] += posting.microtokens
        }
        _ = changes.commit()
        state.apply(changes.changes)
    }

    private mutating func start(_ reference: [AccountID: [GameRecord]]) throws {
        guard let trainer = Replay.trainer(of: agreement.training) else {
            throw GameFault(description: "the agreement names no trainer")
        }
        let model = keep(
            try Safetensors(trainer.initialParameters(seed: agreement.training.seed)).encoded())
        try send(.startRun(1, from: model), by: coordinator)
        for (site, records) in reference.sorted(by: { $0.key < $1.key }) {
            var offer = WireReferenceRecords()
            offer.records = try records.sorted { $0.item < $1.item }.map { record in
                var entry = WireReferenceRecord()
                entry.item = record.item.text
                entry.content = data(
                    try canonicalRecord(
                        features: zip(agreement.training.features, record.features)
                            .map { (name: $0, value: $1) }))
                entry.label = record.label
                return entry
            }
            let digest = keep(offer.encoded())
            try send(.offer(1, digest, count: UInt32(records.count)), by: site)
        }
        let assembled = try assembled()
        for voter in terms.newest.voters.accounts {
            guard try run().referenceRoot.isEmpty else { break }
            try send(.fix(1, assembled.root.bytes, count: assembled.count), by: voter)
        }
    }

    private func run() throws -> WireRunState {
        var changes = ChangeSet(above: state)
        guard let run = changes.run(1) else { throw GameFault(description: "no run") }
        return run
    }

    private func assembled() throws -> AssembledReference {
        let blobs = blobs
        return try assembleReference(
            try run(), agreement: agreement, state: state, contentKey: nil,
            blob: { digest, _ in blobs[digest] })
    }

    /// Plays all rounds.
    package mutating func play(rounds: UInt32) throws -> GameResult {
        let reference = try assembled().set
        for round in 1...rounds {
            height += 1
            try openAndSubmit(round)
            let blobs = blobs
            let checker = try RoundChecker(
                agreement: agreement, state: state, blob: { digest, _ in blobs[digest] })
            let found = try checker.check(
                try run(), round: round, reference: reference, models: &models)
            _ = keep(found.model)
            let hash = Digest.sha256(found.values).bytes
            for voter in terms.newest.voters.accounts {
                try send(
                    .checked(1, round, model: found.modelDigest.bytes, values: hash), by: voter)
            }
            try send(
                .closeRound(1, round, model: found.modelDigest.bytes, values: found.values),
                by: coordinator)
            result.values = try WireRoundValues(strictly: found.values)
            for entry in result.values.sites where entry.answer == "refused" {
                result.refusals[entry.site] = result.refusals[entry.site] ?? entry.reason
            }
        }
        return result
    }

    private mutating func openAndSubmit(_ round: UInt32) throws {
        let base = [UInt8](try run().model)
        guard let bytes = Digest(base).flatMap({ blobs[$0] }) else {
            throw GameFault(description: "no model")
        }
        let model = try Safetensors(decoding: bytes).parameters
        try send(.openRound(1, round, base: base), by: coordinator)
        for entity in entities {
            let update = keep(try Safetensors(try entity.update(model, round)).encoded())
            var manifest = WireManifest()
            manifest.entries = entity.named.map { record in
                var entry = WireManifestEntry()
                entry.record = record.item.text
                entry.item = record.item.text
                entry.closeEnvelope = data(named("close"))
                return entry
            }
            let digest = keep(manifest.encoded())
            try send(
                .submit(
                    1, round, update: update, manifest: digest,
                    examples: UInt32(entity.named.count)), by: entity.site)
        }
    }
}
