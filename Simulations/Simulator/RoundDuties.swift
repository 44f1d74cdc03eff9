import Contracts
import Cryptography
import Federation
import Ledger
import Replay
import Training
import Wire

/// What a voter keeps in memory of a run, as the service's worker does: each can be made again.
struct RoundDesk {
    var references: [UInt32: AssembledReference] = [:]
    var coalitions = KeptCoalitions()
}

/// Coalitions' models of the two newest rounds.
struct KeptCoalitions: CoalitionModels {
    private struct Place: Hashable {
        let run: UInt32
        let round: UInt32
        let coalition: Int
    }

    private var kept: [Place: Parameters] = [:]

    func model(of coalition: Int, run: UInt32, after round: UInt32) -> Parameters? {
        kept[Place(run: run, round: round, coalition: coalition)]
    }

    mutating func keep(
        _ model: Parameters, of coalition: Int, run: UInt32, after round: UInt32
    ) {
        if coalition == 1 {
            kept = kept.filter { $0.key.run == run && $0.key.round + 1 >= round }
        }
        kept[Place(run: run, round: round, coalition: coalition)] = model
    }
}

/// What a voter says of a run, computed as the service's worker does, from its own settled state.
extension Core {
    /// - Throws: ``Refused`` for a duty that must wait.
    func transactions(for duty: Duty) throws -> [WireTransaction] {
        switch duty {
        case .offerReference(let run): [try offerReference(run)]
        case .fixReference(let run): try fixReference(run)
        case .openSeeds: []  // The sites of the simulator list their readers.
        case .stopRun(let run): [stopRun(run)]
        case .openRound(let run, let round): [try openRound(run, round)]
        case .train(let run, let round): [try answer(run, round)]
        case .checkRound(let run, let round): [try checkRound(run, round)]
        case .closeRound(let run, let round): [try closeRound(run, round)]
        }
    }

    private func run(_ number: UInt32) throws -> WireRunState {
        var changes = ChangeSet(above: disk.state)
        guard let run = changes.run(number) else { throw Refused("noRun") }
        return run
    }

    private func agreement(of run: WireRunState) -> WireAgreement {
        replica.settled.terms.rules(at: Height(run.startedHeight)).agreement
    }

    private func put(_ bytes: [UInt8]) -> Digest {
        let digest = world.blobs.put(bytes)
        disk.putBlob(digest)
        return digest
    }

    // MARK: the reference set

    private func offerReference(_ number: UInt32) throws -> WireTransaction {
        let run = try run(number)
        let rule = agreement(of: run).training
        var changes = ChangeSet(above: disk.state)
        var records = WireReferenceRecords()
        for held in disk.tables.records where !held.isTraining {
            guard
                let usable = try? usableRecord(
                    held.item, of: account, use: .evaluation, openedAt: run.startedHeight, rule,
                    in: &changes), isRegistered(held, as: usable)
            else { continue }
            var record = WireReferenceRecord()
            record.item = held.item.text
            record.content = data(held.content)
            record.label = usable.label
            records.records.append(record)
        }
        var transaction = WireTransaction()
        transaction.referenceOffer.run = number
        transaction.referenceOffer.records = data(put(records.encoded()).bytes)
        transaction.referenceOffer.count = UInt32(records.records.count)
        return transaction
    }

    /// A site that restored an older disk may hold another record than the registered one.
    private func isRegistered(_ held: HeldRecord, as usable: UsableRecord) -> Bool {
        held.pseudonym == usable.patient
            && hmacSHA256(key: world.contentKey, held.content).bytes == usable.contentTag
    }

    private func reference(_ run: WireRunState) throws -> AssembledReference {
        if let known = rounds.references[run.number], !run.referenceRoot.isEmpty { return known }
        let assembled = try assembleReference(
            run, agreement: agreement(of: run), state: disk.state, contentKey: world.contentKey,
            blob: { [world] in try world.blobs.read($0, upTo: $1) })
        guard !run.referenceRoot.isEmpty else { return assembled }
        guard assembled.root.bytes == [UInt8](run.referenceRoot) else {
            try world.auditor.require(
                !node.isHonest || world.auditor.isBeyond, "reference",
                "\(account) finds another reference set of run \(run.number) than was fixed")
            throw Refused("otherReference")
        }
        rounds.references = [run.number: assembled]
        return assembled
    }

    private func fixReference(_ number: UInt32) throws -> [WireTransaction] {
        let assembled = try reference(try run(number))
        guard assembled.count > 0 else {
            return account == replica.settled.terms.newest.coordinator ? [stopRun(number)] : []
        }
        var transaction = WireTransaction()
        transaction.referenceFix.run = number
        transaction.referenceFix.root = data(assembled.root.bytes)
        transaction.referenceFix.count = assembled.count
        return [transaction]
    }

    private func stopRun(_ number: UInt32) -> WireTransaction {
        var transaction = WireTransaction()
        transaction.runStop.run = number
        return transaction
    }

    // MARK: rounds

    private func openRound(_ number: UInt32, _ round: UInt32) throws -> WireTransaction {
        var transaction = WireTransaction()
        transaction.roundOpen.run = number
        transaction.roundOpen.round = round
        transaction.roundOpen.baseModel = try run(number).model
        return transaction
    }

    private func answer(_ number: UInt32, _ roundNumber: UInt32) throws -> WireTransaction {
        var changes = ChangeSet(above: disk.state)
        let rule = agreement(of: try run(number)).training
        guard let round = changes.round(number, roundNumber), let base = Digest(round.baseModel)
        else { throw Refused("noRound") }
        var manifest = WireManifest()
        for held in disk.tables.records where held.isTraining {
            guard
                let usable = try? usableRecord(
                    held.item, of: account, use: .training, openedAt: round.openedHeight, rule,
                    in: &changes), isRegistered(held, as: usable)
            else { continue }
            manifest.entries.append(manifestEntry(held.item, closedBy: usable.closedBy))
        }
        manifest = manifestToSend(manifest, openedAt: round.openedHeight)
        guard !manifest.entries.isEmpty else { throw Refused("noRecords") }
        let model = try Safetensors(decoding: world.blobs[base] ?? []).parameters
        let update = try drawnUpdate("\(number).\(roundNumber) of \(account)", of: model)
        var transaction = WireTransaction()
        transaction.updateSubmit.run = number
        transaction.updateSubmit.round = roundNumber
        transaction.updateSubmit.update = data(put(update).bytes)
        transaction.updateSubmit.manifest = data(put(manifest.encoded()).bytes)
        transaction.updateSubmit.examples = UInt32(manifest.entries.count)
        world.trace { "\(account) answers \(number).\(roundNumber)" }
        return transaction
    }

    private func check(_ number: UInt32, _ round: UInt32) throws -> RoundResult {
        let run = try run(number)
        let reference = try reference(run)
        let checker = try RoundChecker(
            agreement: agreement(of: run), state: world.planted(in: disk.state),
            blob: { [world] in world.planted(in: try world.blobs.read($0, upTo: $1)) })
        let result = try checker.check(
            run, round: round, reference: reference.set, models: &rounds.coalitions)
        _ = put(result.model)
        return result
    }

    private func checkRound(_ number: UInt32, _ round: UInt32) throws -> WireTransaction {
        let result = try check(number, round)
        var transaction = WireTransaction()
        transaction.roundChecked.run = number
        transaction.roundChecked.round = round
        transaction.roundChecked.model = data(modelToVouchFor(result.modelDigest).bytes)
        transaction.roundChecked.values = data(Digest.sha256(result.values).bytes)
        return transaction
    }

    private func closeRound(_ number: UInt32, _ round: UInt32) throws -> WireTransaction {
        let result = try check(number, round)
        var transaction = WireTransaction()
        transaction.roundClose.run = number
        transaction.roundClose.round = round
        transaction.roundClose.model = data(modelToVouchFor(result.modelDigest).bytes)
        transaction.roundClose.values = data(result.values)
        return transaction
    }
}

/// An entry of a manifest: the record, and what approved it.
func manifestEntry(_ item: ItemID, closedBy: TransactionID) -> WireManifestEntry {
    var entry = WireManifestEntry()
    entry.record = item.text
    entry.item = item.text
    entry.closeEnvelope = data(closedBy.envelope.bytes)
    entry.closeIndex = closedBy.index
    return entry
}
