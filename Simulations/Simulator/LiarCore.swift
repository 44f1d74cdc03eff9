import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// A node that breaks the rules: it runs the same machines and lies about what they say.
final class LiarCore: Core {
    /// Another self with another chain, for a part of the others.
    private var shadow: Node?
    private var victims: Set<AccountID> = []
    private var shadowEnds: Moment = 0
    private var isShadow = false

    private var lies: Set<Lie> { node.lies ?? [] }
    private func lies(_ lie: Lie, _ permille: Int) -> Bool {
        lies.contains(lie) && world.adversary.random.chance(permille)
    }

    // MARK: two chains

    /// Now and then a liar changes how it lies.
    override func beat() throws {
        if lies.contains(.silence) { return }
        if let shadow, world.now >= shadowEnds {
            shadow.stop()
            self.shadow = nil
        }
        let isBeyond = world.options.scenario == .beyond
        if shadow == nil, coordinator?.isInOffice(above: replica) == true,
            replica.head.height.value > 1, lies(.splitView, isBeyond ? 1_000 : 350)
        {
            try split(
                until: isBeyond
                    ? .max
                    : world.now + 400
                        + world.adversary.random.number(
                            in: UInt64(0)...4_000))
        }
        if !node.hasGoneBack, let snapshot = node.snapshot, lies(.staleSnapshot, 150) {
            node.hasGoneBack = true
            world.trace { "\(account) goes back in time" }
            disk.revert(to: snapshot)
            node.stop()
            return world.schedule(.start(node), after: 20)
        }
        try super.beat()
    }

    private func split(until end: Moment) throws {
        victims = world.adversary.victims(of: account)
        shadowEnds = end
        let other = Node(
            world: world, account: account, disk: Disk(copy: disk.tables, genesis: genesis),
            lies: lies,
            clock: Clock(
                start: node.clock.start, offset: node.clock.offset + 7,
                driftPPM: node.clock.driftPPM))
        other.home = node.home
        shadow = other
        world.hide(other)
        try other.startShadow()
        (other.core as? LiarCore)?.isShadow = true
        world.trace { "\(account) shows another chain to \(self.victims.map(\.text).sorted())" }
    }

    override func didPlace(_ block: Block) {
        for vote in world.adversary.conspire(for: block) {
            do { try count(vote) } catch {}
        }
    }

    // MARK: answers

    override func answer(
        _ request: Request, from peer: AccountID, id: UInt64
    ) throws -> Response? {
        if lies.contains(.silence) { return nil }
        if let other = shadow?.core, !isShadow {
            if case .vote(let bytes) = request { try? other.count(bytes) }
            if victims.contains(peer) {
                switch request {
                case .nextBlock, .block, .submit, .nextSequence:
                    return try other.honestAnswer(request, from: peer, id: id)
                case .vote, .exchange, .blob: break
                }
            }
        }
        if case .submit(let bytes) = request, isFollowedByItself, lies(.brokenPromise, 400),
            let envelope = try? Envelope(strictly: bytes, network: genesis.network)
        {
            return .receipt(
                try Receipt(
                    envelope: envelope.id, acceptedAfter: replica.head.height,
                    block: replica.head.hash, promise: 8,
                    network: genesis.network, key: keys.signing
                ).wire)
        }
        guard case .nextBlock = request else {
            return try honestAnswer(request, from: peer, id: id)
        }
        if lies(.withheldBlock, 300) { return .block(WireBlockResponse()) }
        let answer = try honestAnswer(request, from: peer, id: id)
        guard case .block(var content)? = answer, !content.block.isEmpty else { return answer }
        if lies(.staleSnapshot, 120) {
            content = WireBlockResponse()
            content.otherBranch = world.adversary.random.chance(500)
        } else if lies(.forgedCertificate, 250) {
            content = forgedCertificate(content)
        } else if lies(.invalidBlock, 200) || lies(.replayedEnvelope, 120) {
            content = invalidBlock(content)
        } else if lies(.tamperedBlock, 250) {
            content = tampered(content)
        }
        return .block(content)
    }

    /// A certificate that counts a quorum, of which one signature is good at most.
    private func forgedCertificate(_ answer: WireBlockResponse) -> WireBlockResponse {
        guard let block = try? Block(strictly: [UInt8](answer.block), network: genesis.network),
            let key = keys.voteKeys.first,
            let own = try? Vote(
                voter: account, slot: block.slot, block: block.hash, network: genesis.network,
                key: key)
        else { return answer }
        let voters = terms.newest.voters
        var entries: [Certificate.Entry] = []
        let few = world.adversary.random.chance(300)
        for voter in voters.accounts.prefix(few ? voters.quorum - 1 : voters.quorum) {
            entries.append(Certificate.Entry(voter: voter, signature: own.signature))
        }
        var forged = answer
        forged.certificate = data(
            Certificate(slot: block.slot, block: block.hash, entries: entries).bytes)
        return forged
    }

    /// A block of its own at the same slot that breaks a rule, signed all the same.
    private func invalidBlock(_ answer: WireBlockResponse) -> WireBlockResponse {
        guard let block = try? Block(strictly: [UInt8](answer.block), network: genesis.network),
            block.header.proposer == account
        else { return answer }
        var header = block.header
        var envelopes = block.envelopes
        switch world.adversary.random.number(in: 0...6) {
        case 0: header.effectsRoot = Digest.sha256(named("wrong"))
        case 1: header.stateRoot = Digest.sha256(named("wrong"))
        case 2: header.timeMilliseconds = 0
        case 3: header.voters = Digest.sha256(named("wrong"))
        case 4: header.logSize += 1
        case 5: header.slot = Slot(term: Term(block.slot.term.value + 1), height: block.height)
        default:
            guard let old = disk.tables.blocks.flatMap(\.envelopes).last else { return answer }
            envelopes.append(old)
            header.transactionCount += UInt32(old.transactions.count)
        }
        let made = try? Block(
            header: header, envelopes: envelopes, parentCertificate: block.parentCertificate,
            opening: block.opening, network: genesis.network, key: keys.signing)
        guard let made else { return answer }
        world.auditor.overheard(made)
        var lie = answer
        lie.block = data(made.bytes)
        return lie
    }

    /// Another's block, altered where its signature does not reach.
    private func tampered(_ answer: WireBlockResponse) -> WireBlockResponse {
        guard var wire = try? WireBlock(strictly: [UInt8](answer.block)) else { return answer }
        switch world.adversary.random.number(in: 0...5) {
        case 0: if !wire.envelopes.isEmpty { wire.envelopes.removeLast() }
        case 1:
            guard let last = wire.envelopes.last,
                var envelope = try? WireEnvelope(strictly: [UInt8](last))
            else { return answer }
            var signature = [UInt8](envelope.signature)
            signature[3] ^= 1
            envelope.signature = data(signature)
            wire.envelopes[wire.envelopes.count - 1] = data(envelope.encoded())
        case 2: wire.parentCertificate = data([])
        case 3: wire.envelopes.reverse()
        case 4:
            guard let other = disk.tables.blocks.flatMap(\.envelopes).first,
                !wire.envelopes.isEmpty
            else { return answer }
            wire.envelopes[0] = data(other.bytes)
        default:
            var signature = [UInt8](wire.signature)
            signature[5] ^= 4
            wire.signature = data(signature)
        }
        var lie = answer
        lie.block = data(wire.encoded())
        return lie
    }

    // MARK: votes, statuses, proposals

    override func votesToSend(_ votes: [Vote], for block: Digest?) -> [Vote] {
        if lies.contains(.silence) { return [] }
        guard lies(.doubleVote, 600),
            let slot = votes.first?.slot
                ?? block.flatMap({
                    replica.tip(of: $0)?.slot
                })
        else { return votes }
        return world.adversary.votesForAll(at: slot, by: self)
    }

    override func manifestToSend(
        _ manifest: WireManifest, openedAt height: UInt64
    ) -> WireManifest {
        lies(.unpermittedRecord, 800) ? stretched(manifest, openedAt: height) : manifest
    }

    override func modelToVouchFor(_ model: Digest) -> Digest {
        lies(.wrongModel, 500) ? Digest.sha256(model.bytes) : model
    }

    /// Statuses for every decision there is, with the highest certificate or with none.
    override func signStatuses() throws {
        guard lies.contains(.lyingStatus) else { return try signHonestStatuses() }
        for decision in desk.decisions(above: terms.newest.term) {
            guard let key = keys.voteKeys.first,
                !desk.reports(for: decision.hash).contains(where: { $0.status.voter == account })
            else { continue }
            let hides = world.adversary.random.chance(600)
            let status = try Status(
                decision: decision, lastVote: replica.journal.lastVote,
                highest: hides ? nil : replica.journal.highest, voter: account,
                network: genesis.network, key: key)
            var report = WireStatusReport()
            report.status = data(status.bytes)
            report.certificate = data(hides ? [] : replica.journal.highest?.bytes ?? [])
            desk.add(report)
            world.auditor.overheard(status)
        }
    }

    /// Orders an envelope again where the contracts let it.
    override func made(_ block: Block) -> Block {
        guard lies(.replayedEnvelope, 500), !block.isFirst,
            let parent = replica.tip(of: block.header.previous),
            let old = disk.tables.blocks.flatMap(\.envelopes).last,
            !block.envelopes.contains(where: { $0.signer == old.signer })
        else { return block }
        var terms = parent.terms
        terms.advance(to: parent.terms.newest, isFirst: false)
        let envelopes = block.envelopes + [old]
        guard
            let outcome = try? replica.compute(
                envelopes, above: parent, terms: terms, opening: nil)
        else { return block }
        var header = block.header
        header.transactionCount = UInt32(outcome.execution.effects.count)
        header.logSize = outcome.log.size
        header.logRoot = outcome.log.root
        header.effectsRoot = outcome.execution.effectsRoot
        header.stateRoot = outcome.stateRoot
        let again = try? Block(
            header: header, envelopes: envelopes, parentCertificate: block.parentCertificate,
            network: genesis.network, key: keys.signing)
        return again ?? block
    }
}
