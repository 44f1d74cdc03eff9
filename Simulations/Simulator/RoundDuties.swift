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
        case .stopRun(let run): [.stopRun(run)]
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
        let offer = usable(
            .evaluation, openedAt: run.startedHeight, agreement(of: run).training
        ).offer
        return .offer(number, put(offer.encoded()).bytes, count: UInt32(offer.records.count))
    }

    private func usable(
        _ use: WireRecordUse, openedAt height: UInt64, _ rule: WireTrainingRule
    ) -> SiteRecords {
        var changes = ChangeSet(above: disk.state)
        return SiteRecords(
            disk.tables.records, of: account, use: use, openedAt: height, rule,
            contentKey: world.contentKey, in: &changes)
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
            return account == replica.settled.terms.newest.coordinator ? [.stopRun(number)] : []
        }
        return [.fix(number, assembled.root.bytes, count: assembled.count)]
    }

    // MARK: rounds

    private func openRound(_ number: UInt32, _ round: UInt32) throws -> WireTransaction {
        .openRound(number, round, base: [UInt8](try run(number).model))
    }

    private func answer(_ number: UInt32, _ roundNumber: UInt32) throws -> WireTransaction {
        var changes = ChangeSet(above: disk.state)
        let rule = agreement(of: try run(number)).training
        guard let round = changes.round(number, roundNumber), let base = Digest(round.baseModel)
        else { throw Refused("noRound") }
        let own = usable(.training, openedAt: round.openedHeight, rule)
        let manifest = manifestToSend(own.manifest, openedAt: round.openedHeight)
        guard !manifest.entries.isEmpty else { throw Refused("noRecords") }
        let model = try Safetensors(decoding: world.blobs[base] ?? []).parameters
        let update = try drawnUpdate("\(number).\(roundNumber) of \(account)", of: model)
        world.trace { "\(account) answers \(number).\(roundNumber)" }
        return .submit(
            number, roundNumber, update: put(update).bytes,
            manifest: put(manifest.encoded()).bytes, examples: UInt32(manifest.entries.count))
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
        return .checked(
            number, round, model: modelToVouchFor(result.modelDigest).bytes,
            values: Digest.sha256(result.values).bytes)
    }

    private func closeRound(_ number: UInt32, _ round: UInt32) throws -> WireTransaction {
        let result = try check(number, round)
        return .closeRound(
            number, round, model: modelToVouchFor(result.modelDigest).bytes,
            values: result.values)
    }
}
