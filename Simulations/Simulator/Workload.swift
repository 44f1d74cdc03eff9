import Contracts
import Cryptography
import Ledger
import Wire

/// What sites and the developer put on the ledger: enrolments, consents, records, runs, nonsense.
final class Workload {
    unowned let world: World
    private var random: SplitMix64
    private var counters: [AccountID: Int] = [:]

    static let readersPerSite = 2

    init(world: World) {
        self.world = world
        random = SplitMix64(seed: world.options.seed, concern: "workload")
    }

    /// One more thing a site does.
    func work(at node: Node) throws {
        guard !world.isHealed else { return }
        world.schedule(.work(node), after: random.number(in: UInt64(250)...1_400))
        guard let core = node.core, node.pausedUntil <= world.now, !core.submitter.isBusy else {
            return
        }
        let number = counters[node.account, default: 0]
        counters[node.account] = number + 1
        try core.contributeOwn(try transactions(of: node.account, number: number, core))
        if core.isFollowedByItself || node.account == world.options.founders.dropFirst().first {
            try administer()
        }
    }

    /// After healing: every honest site says something, and it must be settled.
    func probe(_ node: Node) throws {
        guard let core = node.core else { return world.schedule(.probe(node), after: 400) }
        try core.contributeOwn([grant(named("probe \(node.account)"), waive: false)])
    }

    private func transactions(
        of site: AccountID, number: Int, _ core: Core
    ) throws -> [WireTransaction] {
        if number < Self.readersPerSite {
            let reader = AccountID(.annotator, "\(site.name)-\(number + 1)")
            if world.clients[reader] == nil {
                world.add(try Client(world: world, account: reader, site: site))
            }
            var transaction = WireTransaction()
            transaction.memberEnrol.member = data(try world.cabinet.member(reader).bytes)
            return [transaction]
        }
        let patient = named("patient \(site) \(random.number(in: 0...3))")
        switch random.number(in: 0...9) {
        case 0: return [withdraw(patient)]
        case 1: return [withdraw(patient), grant(patient, waive: true)]
        case 2:
            // What was enrolled already is rejected and stays in the block.
            var transaction = WireTransaction()
            transaction.memberEnrol.member = data(
                try world.cabinet.member(AccountID(.annotator, "\(site.name)-1")).bytes)
            return [transaction]
        default:
            let readers = (1...Self.readersPerSite)
                .map { AccountID(.annotator, "\(site.name)-\($0)") }
                .filter { (try? core.disk.listedMember($0)) != nil }
            return [
                grant(patient, waive: false),
                register(site, number, patient, readers: readers.map(\.text)),
            ]
        }
    }

    private func grant(_ patient: [UInt8], waive: Bool) -> WireTransaction {
        var transaction = WireTransaction()
        transaction.consentGrant.patient = data(patient)
        transaction.consentGrant.purposes = [.training, .evaluation]
        transaction.consentGrant.waiveReward = waive
        return transaction
    }

    private func withdraw(_ patient: [UInt8]) -> WireTransaction {
        var transaction = WireTransaction()
        transaction.consentWithdraw.patient = data(patient)
        transaction.consentWithdraw.purposes = [.training]
        return transaction
    }

    private func register(
        _ site: AccountID, _ number: Int, _ patient: [UInt8], readers: [String]
    ) -> WireTransaction {
        var transaction = WireTransaction()
        transaction.recordRegister.item = "\(site.name)/r\(number)"
        transaction.recordRegister.patient = data(patient)
        // Now and then the same content again: a duplicate.
        let content = random.chance(150) ? "content \(number)" : "content \(site) \(number)"
        transaction.recordRegister.contentTag = data(named(content))
        transaction.recordRegister.use = .training
        transaction.recordRegister.readers = readers
        return transaction
    }

    /// The coordinator closes periods and starts runs.
    private func administer() throws {
        guard let core = world.nodes.compactMap(\.core).first(where: \.isFollowedByItself),
            core.node.pausedUntil <= world.now
        else { return }
        var changes = ChangeSet(above: core.disk.state)
        var transactions: [WireTransaction] = []
        let period = changes.openPeriod()
        if period.items > 0, period.decided >= min(2, period.items) {
            var transaction = WireTransaction()
            transaction.periodClose.period = period.number
            transactions.append(transaction)
        }
        let newest = changes.newestRun()
        if changes.run(newest)?.isActive != true, newest < 2, random.chance(500) {
            var transaction = WireTransaction()
            transaction.runStart.run = newest + 1
            transaction.runStart.initialModel = data(named("model \(newest + 1).0"))
            transaction.runStart.rounds = 2
            transactions.append(transaction)
        }
        guard !transactions.isEmpty, core.isFollowedByItself else { return }
        do { try core.contribute(transactions) } catch is Refused {}
    }
}
