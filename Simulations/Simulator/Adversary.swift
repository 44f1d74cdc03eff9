import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// What the liars know together, and what they sign for each other.
final class Adversary {
    unowned let world: World
    var random: SplitMix64
    /// Blocks that somebody showed somebody, by slot.
    private var blocks: [Slot: [Digest]] = [:]

    init(world: World) {
        self.world = world
        random = SplitMix64(seed: world.options.seed, concern: "adversary")
    }

    private var liars: [Node] { world.nodes.filter { !$0.isHonest } }

    /// Every message of a liar is evidence, should anybody keep it.
    func overhears(_ parcel: Parcel) {
        guard !world.options.liars.isEmpty else { return }
        if case .response(.block(let answer)) = parcel.content, !answer.block.isEmpty,
            let wire = try? WireBlock(strictly: [UInt8](answer.block))
        {
            note(wire, from: parcel.from)
        }
        guard world.node(parcel.from)?.isHonest == false else { return }
        if case .request(.vote(let bytes)) = parcel.content, let vote = try? Vote(strictly: bytes) {
            world.auditor.overheard(vote)
        }
        let exchange: WireExchange? =
            switch parcel.content {
            case .request(.exchange(let exchange)): exchange
            case .response(.exchange(let exchange)): exchange
            default: nil
            }
        for bytes in exchange?.statuses ?? [] {
            guard let report = try? WireStatusReport(strictly: [UInt8](bytes)),
                let status = try? Status(strictly: [UInt8](report.status))
            else { continue }
            world.auditor.overheard(status)
        }
    }

    private func note(_ wire: WireBlock, from: AccountID) {
        let network = world.genesis.network
        guard let block = try? Block(strictly: wire.encoded(), network: network) else { return }
        if !blocks[block.slot, default: []].contains(block.hash) {
            blocks[block.slot, default: []].append(block.hash)
        }
        world.auditor.overheard(block)
    }

    /// Votes of all liars for a block of one of them.
    func conspire(for block: Block) -> [Vote] {
        let willing = liars.filter { $0.lies?.contains(.doubleVote) == true }
        let keys = willing.compactMap { liar in
            liar.core?.keys.voteKeys.first.map { (liar.account, $0) }
        }
        return keys.compactMap { account, key in
            let vote = try? Vote(
                voter: account, slot: block.slot, block: block.hash,
                network: world.genesis.network, key: key)
            if let vote { world.auditor.overheard(vote) }
            return vote
        }
    }

    /// Votes for every block that anybody showed at a slot.
    func votesForAll(at slot: Slot, by core: Core) -> [Vote] {
        guard let key = core.keys.voteKeys.first else { return [] }
        return (blocks[slot] ?? []).compactMap { hash in
            try? Vote(
                voter: core.account, slot: slot, block: hash, network: world.genesis.network,
                key: key)
        }
    }

    /// Those whom a liar shows its other chain.
    func victims(of liar: AccountID) -> Set<AccountID> {
        let honest = world.nodes.filter { $0.isHonest && $0.account.role == .site }.map(\.account)
        guard honest.count > 1 else { return [] }
        let size = random.number(in: 1...honest.count - 1)
        return Set(random.sample(world.options.scenario == .beyond ? 1 : size, of: honest))
    }
}
