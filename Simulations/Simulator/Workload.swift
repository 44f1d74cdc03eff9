import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// What sites and the developer put on the ledger: enrolments, consents, records, runs, nonsense.
final class Workload {
    unowned let world: World
    private var random: SplitMix64
    private var counters: [AccountID: Int] = [:]

    static let readersPerSite = 2
    /// Records of a site's first envelope; the first of them is to evaluate with.
    static let firstRecords = 3

    init(world: World) {
        self.world = world
        random = SplitMix64(seed: world.options.seed, concern: "workload")
    }

    /// One more thing a site does.
    func work(at node: Node) throws {
        guard world.isWorking else { return }
        world.schedule(.work(node), after: random.number(in: UInt64(250)...1_400))
        guard let core = node.core, node.pausedUntil <= world.now, !core.submitter.isBusy else {
            return
        }
        let number = counters[node.account, default: 0]
        counters[node.account] = number + 1
        var batch = Batch()
        try contribute(to: &batch, at: node.account, number: number, core)
        // A site keeps a record before it registers it.
        if !batch.held.isEmpty { try core.disk.keep(batch.held) }
        try core.contributeOwn(batch.transactions)
        if core.isFollowedByItself || node.account == world.options.founders.dropFirst().first {
            try administer()
        }
    }

    /// After healing: every honest site says something, and it must be settled.
    func probe(_ node: Node) throws {
        guard let core = node.core else { return world.schedule(.probe(node), after: 400) }
        try core.contributeOwn([grant(named("probe \(node.account)"), waive: false)])
    }

    /// What a site says in one envelope, and the records that it keeps before.
    private struct Batch {
        var transactions: [WireTransaction] = []
        var held: [HeldRecord] = []
    }

    private func contribute(
        to batch: inout Batch, at site: AccountID, number: Int, _ core: Core
    ) throws {
        let readers = (1...Self.readersPerSite).map { AccountID(.annotator, "\(site.name)-\($0)") }
        let enrolled = readers.filter { (try? core.disk.listedMember($0)) != nil }
        if number == 0 || (number > 4 && enrolled.count < readers.count) {
            for reader in readers {
                if world.clients[reader] == nil {
                    world.add(try Client(world: world, account: reader, site: site))
                }
                batch.transactions.append(try enrolment(of: reader))
            }
            for place in 0..<(world.options.trains ? Self.firstRecords : 0) {
                let patient = patient(of: site, place)
                batch.transactions.append(grant(patient, waive: false))
                try register(
                    "\(site.name)/r\(number)-\(place)", patient,
                    place == 0 ? .evaluation : .training,
                    readers, in: &batch)
            }
            return
        }
        let patient = patient(of: site, random.number(in: 0...3))
        if core.node.lies?.contains(.unpermittedRecord) == true, random.chance(300) {
            // Somebody whose records it may then name.
            batch.transactions = [withdraw(self.patient(of: site, random.number(in: 1...2)))]
            return
        }
        switch random.number(in: 0...9) {
        case 0: batch.transactions = [withdraw(patient)]
        case 1: batch.transactions = [withdraw(patient), grant(patient, waive: true)]
        case 2:
            // What was enrolled already, or is another's patient, is rejected and stays in the
            // block.
            batch.transactions = [try enrolment(of: readers[0])]
            if random.chance(300), let other = random.element(of: world.options.founders) {
                batch.transactions.append(grant(self.patient(of: other, 0), waive: false))
            }
        default:
            batch.transactions = [grant(patient, waive: false, isShort: true)]
            try register(
                "\(site.name)/r\(number)", patient, random.chance(250) ? .evaluation : .training,
                enrolled, in: &batch)
        }
    }

    private func patient(of site: AccountID, _ place: Int) -> [UInt8] {
        named("patient \(site) \(place)")
    }

    private func enrolment(of reader: AccountID) throws -> WireTransaction {
        var transaction = WireTransaction()
        transaction.memberEnrol.member = data(try world.cabinet.member(reader).bytes)
        return transaction
    }

    /// - Parameters:
    ///   - patient: who consents.
    ///   - waive: the reward.
    ///   - isShort: whether it may be for evaluation alone, or end soon.
    /// - Returns: the transaction.
    private func grant(
        _ patient: [UInt8], waive: Bool, isShort: Bool = false
    ) -> WireTransaction {
        var transaction = WireTransaction()
        transaction.consentGrant.patient = data(patient)
        transaction.consentGrant.purposes = [.training, .evaluation]
        transaction.consentGrant.waiveReward = waive
        guard isShort else { return transaction }
        if random.chance(80) { transaction.consentGrant.purposes = [.evaluation] }
        if random.chance(200) {
            let height = world.auditor.chain.height + random.number(in: UInt64(8)...30)
            transaction.consentGrant.notAfterHeight = height
        }
        return transaction
    }

    private func withdraw(_ patient: [UInt8]) -> WireTransaction {
        var transaction = WireTransaction()
        transaction.consentWithdraw.patient = data(patient)
        transaction.consentWithdraw.purposes = [.training]
        return transaction
    }

    private func register(
        _ name: String, _ patient: [UInt8], _ use: WireRecordUse, _ readers: [AccountID],
        in batch: inout Batch
    ) throws {
        guard let item = ItemID(name) else { return }
        // Now and then the same content again: a duplicate.
        let isShared = random.chance(150)
        let content = try recordContent(
            isShared ? String(name.drop { $0 != "/" }) : name,
            features: world.genesis.agreement.training.features)
        var transaction = WireTransaction()
        transaction.recordRegister.item = name
        transaction.recordRegister.patient = data(patient)
        transaction.recordRegister.contentTag = data(
            hmacSHA256(key: world.contentKey, content).bytes)
        transaction.recordRegister.use = use
        transaction.recordRegister.readers = readers.map(\.text)
        batch.transactions.append(transaction)
        batch.held.append(
            HeldRecord(
                item: item, pseudonym: patient, content: content, isTraining: use == .training))
    }

    /// The coordinator closes periods and starts runs.
    private func administer() throws {
        let inOffice = world.nodes.compactMap(\.core).filter {
            $0.isFollowedByItself && $0.coordinator?.isInOffice(above: $0.replica) == true
        }
        guard let core = inOffice.max(by: { $0.replica.head.slot < $1.replica.head.slot }),
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
        let before = changes.run(newest)
        let most: UInt32 = world.isHealed ? 20 : 2
        if before?.isActive != true, newest < most,
            random.chance(try canEvaluate(core) ? 800 : 100)
        {
            // A later run may go on with what the one before came to.
            let goesOn = (before?.closed ?? 0) > 0 && random.chance(500)
            let model = goesOn ? [UInt8](before?.model ?? data([])) : world.blobs.initialModel.bytes
            transactions.append(.startRun(newest + 1, from: model, rounds: 2))
        }
        guard !transactions.isEmpty else { return }
        do { try core.contribute(transactions) } catch is Refused {}
    }

    /// Whether a run would find records of some sites to evaluate with.
    private func canEvaluate(_ core: Core) throws -> Bool {
        let items = core.disk.state.entries(in: .items, prefix: [], limit: .max)
        let approved = try items.filter {
            try WireItemState(strictly: $0.value).outcome == .approved
        }
        let ready = try approved.filter { item in
            let record = core.disk.state.value(at: StateKey(.records, item.key.key))
            return try record.map { try WireRecordState(strictly: $0).use == .evaluation } ?? false
        }
        return ready.count > 1
    }
}
