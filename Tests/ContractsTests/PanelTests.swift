import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// Drawn panels: who is asked, in which waves, and what nobody can choose.
struct PanelTests {
    static let east = Consortium.east
    static let founded = Result { try Consortium.drawn() }

    private func item(_ number: Int = 1) throws -> ItemID { try itemID("east/\(number)") }

    private func organisation(_ account: AccountID) -> String {
        String(account.name.prefix { $0 != "-" })
    }

    @Test(
        "three readers with the credential, none of the patient's site, one an organisation first")
    func firstWave() throws {
        for number in 1...40 {
            var consortium = try Self.founded.get()
            try consortium.draw([item(number)], by: Self.east)
            let readers = try consortium.asked(item(number))
            #expect(readers.count == 3 && readers == readers.sorted())
            #expect(readers.allSatisfy { organisation($0) != "east" })
            #expect(readers.allSatisfy { !$0.name.contains("-s") })
            #expect(Set(readers.map(organisation)).count == 2, "two others have readers at all")
        }
    }

    @Test("an own-site panel is drawn from the site's own readers alone")
    func ownSite() throws {
        var agreement = drawnAgreement()
        agreement.annotation.panel = "own-site"
        var consortium = try Consortium.drawn(agreement)
        try consortium.draw([item()], by: Self.east)
        let readers = try consortium.asked(item())
        #expect(readers.count == 3 && readers.allSatisfy { organisation($0) == "east" })
    }

    @Test("the panel follows from secret and block hash alone, as a second computation finds it")
    func seed() throws {
        var consortium = try Self.founded.get()
        try consortium.draw([item()], by: Self.east)
        let seed = panelSeed(
            network: consortium.network, item: try item(),
            secret: consortium.secret(of: try item()), beacon: Consortium.blockHash(3).bytes)
        #expect(try [UInt8](#require(consortium.item(item())).seed) == seed)
        let candidates = [Consortium.north, Consortium.west].flatMap { site in
            Consortium.readers(of: site).map { Candidate(account: $0, organisation: site) }
        }
        let order = drawOrder(candidates, seed: seed)
        #expect(try consortium.asked(item()) == order.prefix(3).sorted())
        #expect(Set(order.prefix(2).map(organisation)).count == 2)
    }

    @Test("a site that knows the block's hash has one secret left to open, however late")
    func noChoice() throws {
        var consortium = try Self.founded.get()
        try consortium.registerDrawn([item()], by: Self.east)
        try consortium.execute([], at: 3)
        for attempt in 0..<50 {
            var copy = consortium
            let outcome = try copy.outcome(
                .openSeed("east/1", named("another \(attempt)")), by: Self.east, at: 4)
            #expect(outcome == .seedDoesNotOpen)
        }
        // Opened late, the panel is the same: the hash is that of one block.
        var panels: Set<[AccountID]> = []
        for height in UInt64(4)...8 {
            var copy = consortium
            for between in 4..<max(4, height) { try copy.execute([], at: between) }
            try copy.applied(
                [.openSeed("east/1", copy.secret(of: item()))], by: Self.east, at: height)
            panels.insert(copy.asked(try item()))
        }
        #expect(panels.count == 1)
        // Withheld, the site registers nothing more until it opens the very panel.
        try consortium.execute([], at: 4)
        try consortium.applied([.closeItem("east/1")], by: Consortium.coordinator, at: 9)
        let withheld = try #require(consortium.item(item()))
        #expect(withheld.outcome == .open && withheld.secretOverdue && withheld.period == 0)
        #expect(consortium.read { $0.openPeriod() }.items == 0)
        let again = try item(2)
        try consortium.applied([.grant(named("patient of \(again)"))], by: Self.east)
        let other = consortium.drawnRecord(again)
        #expect(try consortium.outcome(other, by: Self.east) == .secretsOverdue)
        try consortium.applied(
            [.openSeed("east/1", consortium.secret(of: item()))], by: Self.east, at: 40)
        #expect(try panels == [consortium.asked(item())])
        #expect(try consortium.item(item())?.secretOverdue == false)
        #expect(consortium.read { $0.openPeriod() }.items == 1)
        #expect(try consortium.outcome(other, by: Self.east) == nil)
        try consortium.answer(item(), [3, 3, 3])
        #expect(try consortium.item(item())?.outcome == .approved)
    }

    @Test("a site with an overdue secret submits no update")
    func overdueUpdate() throws {
        var consortium = try Self.founded.get()
        try consortium.registerDrawn([item()], by: Self.east)
        for _ in 3...4 { try consortium.execute([]) }
        try consortium.applied([.closeItem("east/1")], by: Consortium.coordinator, at: 9)
        try consortium.startRun()
        let model = try #require(consortium.run(1)).model
        try consortium.applied([.openRound(1, 1, base: [UInt8](model))], by: Consortium.coordinator)
        let update = consortium.submission(1, 1, by: Self.east)
        #expect(try consortium.outcome(update, by: Self.east) == .secretsOverdue)
        let north = consortium.submission(1, 1, by: Consortium.north)
        #expect(try consortium.outcome(north, by: Consortium.north) == nil)
        try consortium.applied(
            [.openSeed("east/1", consortium.secret(of: item()))], by: Self.east)
        #expect(try consortium.outcome(update, by: Self.east) == nil)
    }

    /// The state after a decision of the voters, without the block that it opens a term with.
    private func decide(
        _ consortium: inout Consortium, _ change: (inout WireDecision) throws -> Void
    ) throws {
        var wire = WireDecision()
        wire.term = 2
        wire.coordinator = Consortium.coordinator.text
        wire.coordinatorKey = data(try signingKey(of: Consortium.coordinator).verifyingKey.bytes)
        wire.voters = consortium.genesis.voters.wire
        wire.reason = "as the test says"
        try change(&wire)
        let decision = try Decision(strictly: wire.encoded(), network: consortium.network)
        let (height, agreement) = (consortium.height.next, consortium.agreement)
        try consortium.change { try $0.open(decision, height: height, inForce: agreement) }
    }

    @Test("a decision that brings the site new keys, or ends it, ends what it can open no more")
    func lostSecrets() throws {
        var consortium = try Self.founded.get()
        let (lost, fresh, other) = (try item(1), try item(2), try itemID("north/1"))
        try consortium.registerDrawn([lost], by: Self.east)
        try consortium.applied(
            [.grant(named("patient of \(other)")), consortium.drawnRecord(other)],
            by: Consortium.north, at: consortium.height.value)
        try consortium.execute([], at: 7)
        try consortium.registerDrawn([fresh], by: Self.east)
        try consortium.applied(
            [lost, other].map { .closeItem($0.text) }, by: Consortium.coordinator, at: 9)
        for isLeaving in [false, true] {
            var copy = consortium
            try decide(&copy) { wire in
                if isLeaving {
                    wire.leaving = [Self.east.text]
                    wire.voters.voters.removeAll { $0.account == Self.east.text }
                } else {
                    wire.members = [data(try memberDocument(Self.east))]
                }
            }
            let ended = try #require(copy.item(lost))
            #expect(ended.outcome == .tooFew && ended.closedHeight == 10 && ended.isSecretLost)
            #expect(copy.item(fresh)?.awaitsSeed == true)
            // It owes no secret that it cannot open; what others owe they owe still.
            if !isLeaving {
                let record = try copy.drawnRecord(item(3))
                #expect(try copy.outcome(record, by: Self.east) == .noConsent)
            }
            let awaited = copy.state.entries(in: .seeds, prefix: [], limit: .max)
            #expect(awaited.count == 2 && copy.item(other)?.outcome == .open)
            try copy.applied([.closeItem(fresh.text)], by: Consortium.coordinator, at: 15)
            #expect(copy.item(fresh)?.outcome == (isLeaving ? .tooFew : .open))
            #expect(copy.item(fresh)?.secretOverdue == !isLeaving)
            #expect(copy.audit().isEmpty)
        }
    }

    @Test("answers of another kind end what waits for an overdue secret")
    func overdueOfAnotherKind() throws {
        var consortium = try Self.founded.get()
        try consortium.registerDrawn([item()], by: Self.east)
        try consortium.applied([.closeItem("east/1")], by: Consortium.coordinator, at: 9)
        try decide(&consortium) { $0.agreement = AnswerKindTests.agreement(.measurement) }
        #expect(try consortium.item(item())?.outcome == .tooFew)
        let record = try consortium.drawnRecord(self.item(2))
        #expect(try consortium.outcome(record, by: Self.east) == .noConsent)
    }

    /// An item to which all who are asked commit, and all but the first reveal; reveals are awaited
    /// from 6 to 8.
    private func answeredButFirst(
        _ item: ItemID
    ) throws -> (consortium: Consortium, readers: [AccountID]) {
        var consortium = try Self.founded.get()
        try consortium.draw([item], by: Self.east)
        let readers = consortium.asked(item)
        for reader in readers {
            try consortium.applied([consortium.commit(item, 3, by: reader)], by: reader, at: 5)
        }
        for reader in readers.dropFirst() {
            try consortium.applied([consortium.reveal(item, 3, by: reader)], by: reader, at: 6)
        }
        return (consortium, readers)
    }

    @Test("whom a decision ends before reveals are over loses nothing by silence, later the stake")
    func endedByDecision() throws {
        let item = try item()
        for isLate in [false, true] {
            let (answered, readers) = try answeredButFirst(item)
            var consortium = answered
            // Reveals are awaited to 8; the decision is in force from the next height on.
            try consortium.execute([], at: isLate ? 8 : 7)
            try decide(&consortium) { $0.leaving = [readers[0].text] }
            try consortium.applied([.closeItem(item.text)], by: Consortium.coordinator, at: 9)
            let stake = consortium.held(ConsortiumAccount.stake(of: readers[0]))
            #expect(stake == (isLate ? 0 : 10_000_000))
            #expect(consortium.held(ConsortiumAccount.appeal(of: readers[0])) + stake == 10_000_000)
        }
    }

    @Test("who enters or leaves after the registration changes no panel")
    func lateMembers() throws {
        var plain = try Self.founded.get()
        try plain.draw([item()], by: Self.east)
        var crowded = try Self.founded.get()
        try crowded.registerDrawn([item()], by: Self.east)
        let late = try (1...20).map {
            try WireTransaction.enrol(
                memberDocument(AccountID(.annotator, "north-late\($0)")), as: ["reader", "senior"])
        }
        try crowded.applied(late, by: Consortium.north, at: 3)
        for reader in Consortium.readers(of: Consortium.west) {
            try crowded.applied([.revoke(reader.text)], by: Consortium.west, at: 3)
        }
        try crowded.applied(
            [.openSeed("east/1", crowded.secret(of: item()))], by: Self.east, at: 4)
        #expect(try crowded.asked(item()) == plain.asked(item()))
    }

    @Test("different secrets and different block hashes give different panels")
    func spread() throws {
        let candidates = (1...9).map {
            Candidate(
                account: AccountID(.annotator, "r\($0)"), organisation: AccountID(.site, "s\($0)"))
        }
        var counts: [AccountID: Int] = [:]
        for seed in 0..<900 {
            for reader in drawOrder(candidates, seed: named("seed \(seed)")).prefix(3) {
                counts[reader, default: 0] += 1
            }
        }
        // 300 expected of each, with a standard deviation of 14.
        #expect(counts.count == 9 && counts.values.allSatisfy { (230...370).contains($0) })
    }

    @Test("an item without consensus goes to 5, 7 and two seniors; late answers earn the flat fee")
    func escalation() throws {
        var consortium = try Self.founded.get()
        let item = try item()
        try consortium.draw([item], by: Self.east)
        let first = consortium.asked(item)
        try consortium.answer(item, [1, 3, 5])
        let second = consortium.asked(item)
        #expect(second.count == 2 && Set(second).isDisjoint(with: first))
        #expect(consortium.item(item)?.outcome == .open)
        try consortium.answer(item, [1, 5])
        let third = consortium.asked(item)
        #expect(third.count == 2 && Set(third).isDisjoint(with: first + second))
        #expect(second.allSatisfy { consortium.held($0) == 1_000 && consortium.balance($0) == 0 })
        try consortium.answer(item, [1, 5])
        let seniors = consortium.asked(item)
        #expect(seniors.count == 2 && seniors.allSatisfy { $0.name.contains("-s") })
        #expect(Set(seniors.map(organisation)).count == 2)
        try consortium.answer(item, [4, 5])
        let state = try #require(consortium.item(item))
        #expect(state.outcome == .approved && state.grade == 4 && state.later.count == 3)
        #expect(state.spread == 4)
        #expect((second + third + seniors).allSatisfy { consortium.held($0) == 1_000 })
        #expect(first.allSatisfy { consortium.held($0) == 0 })
        #expect(consortium.audit().isEmpty)
        // Above seniors there is nobody.
        #expect(try consortium.outcome(.dispute(item.text), by: Self.east) == .alreadyAdjudicated)
        // Pay and score see the first wave alone.
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        for reader in second + third + seniors {
            #expect(consortium.value(WirePayState.self, .pay, payKey(1, reader)) == nil)
        }
        for reader in first {
            let pay = consortium.value(WirePayState.self, .pay, payKey(1, reader))
            #expect(pay?.answers == 1 && pay?.rows == 1)
        }
    }

    @Test("a reserve that holds too little pays no late answer, and the item goes on")
    func emptyReserve() throws {
        var agreement = drawnAgreement()
        // Eighteen stakes, and one fee and a half.
        agreement.rewards.supplyMicrotokens = 18 * 10_000_000 + 1_500
        var consortium = try Consortium.drawn(agreement)
        let item = try item()
        try consortium.draw([item], by: Self.east)
        try consortium.answer(item, [1, 3, 5])
        let second = consortium.asked(item)
        try consortium.answer(item, [1, 5])
        #expect(second.map { consortium.held($0) } == [1_000, 0])
        #expect(consortium.item(item)?.later.count == 2 && consortium.audit().isEmpty)
    }

    @Test("seniors who differ about too few readers' answers leave them too few")
    func tooFewForSeniors() throws {
        var agreement = drawnAgreement()
        agreement.annotation.waves = [3]
        var consortium = try Consortium.drawn(agreement)
        let item = try item()
        try consortium.draw([item], by: Self.east)
        let readers = consortium.asked(item).dropLast()
        for reader in readers {
            try consortium.applied([consortium.commit(item, 3, by: reader)], by: reader, at: 5)
        }
        for reader in readers {
            try consortium.applied([consortium.reveal(item, 3, by: reader)], by: reader, at: 9)
        }
        try consortium.applied([.closeItem(item.text)], by: Consortium.coordinator, at: 9)
        try consortium.answer(item, [1, 5])
        #expect(consortium.item(item)?.outcome == .tooFew && consortium.item(item)?.spread == 0)
    }

    @Test("seniors who differ leave the item disputed; nobody left to ask closes it at once")
    func indeterminate() throws {
        var consortium = try Self.founded.get()
        let item = try item()
        try consortium.draw([item], by: Self.east)
        try consortium.answer(item, [1, 3, 5])
        try consortium.answer(item, [1, 5])
        try consortium.answer(item, [1, 5])
        try consortium.answer(item, [1, 5])
        #expect(consortium.item(item)?.outcome == .disputed)

        var agreement = drawnAgreement()
        agreement.annotation.seniorCredential = ""
        agreement.annotation.waves = [3]
        consortium = try Consortium.drawn(agreement)
        try consortium.draw([item], by: Self.east)
        try consortium.answer(item, [1, 3, 5])
        #expect(consortium.item(item)?.outcome == .disputed)

        agreement.annotation.credential = "nobody"
        consortium = try Consortium.drawn(agreement)
        try consortium.draw([item], by: Self.east)
        #expect(consortium.asked(item).isEmpty)
        try consortium.applied([.closeItem(item.text)], by: Consortium.coordinator)
        #expect(consortium.item(item)?.outcome == .tooFew)
    }

    @Test("who misses a wave is passed over; an answer never revealed costs the stake")
    func missed() throws {
        var consortium = try Self.founded.get()
        let item = try item()
        try consortium.draw([item], by: Self.east)
        let readers = consortium.asked(item)
        try consortium.applied([consortium.commit(item, 3, by: readers[0])], by: readers[0], at: 5)
        try consortium.applied([consortium.commit(item, 3, by: readers[1])], by: readers[1], at: 5)
        // Commits are awaited to 8, reveals from 9 to 11.
        try consortium.applied([consortium.reveal(item, 3, by: readers[0])], by: readers[0], at: 9)
        try consortium.applied([.closeItem(item.text)], by: Consortium.coordinator, at: 12)
        #expect(consortium.held(ConsortiumAccount.stake(of: readers[1])) == 0)
        #expect(consortium.held(ConsortiumAccount.appeal(of: readers[1])) == 10_000_000)
        #expect(consortium.held(ConsortiumAccount.stake(of: readers[2])) == 10_000_000)
        #expect(consortium.asked(item).count == 2, "the next wave")
        try consortium.answer(item, [3, 3])
        #expect(consortium.item(item)?.outcome == .approved)
        #expect(consortium.audit().isEmpty)
    }

    @Test("a reader who has left in the middle is refused by name")
    func left() throws {
        var consortium = try Self.founded.get()
        let item = try item()
        try consortium.draw([item], by: Self.east)
        let reader = consortium.asked(item)[0]
        try consortium.applied(
            [.revoke(reader.text)], by: AccountID(.site, organisation(reader)))
        let refused = try consortium.envelope(
            [consortium.commit(item, 3, by: reader)], by: reader)
        var copy = consortium
        #expect(throws: ExecutionFault.unknownSigner(reader)) { try copy.execute([refused]) }
    }

    @Test("who leaves returns the stake to the reserve, with an answer unrevealed as well")
    func revokedAfterCommit() throws {
        let item = try item()
        for (isOwn, isLate) in [(false, false), (true, false), (false, true)] {
            let (answered, readers) = try answeredButFirst(item)
            var consortium = answered
            let reader = readers[0]
            let held = consortium.held(ConsortiumAccount.reserve)
            try consortium.applied(
                [.revoke(reader.text)], by: isOwn ? reader : AccountID(.site, organisation(reader)),
                at: isLate ? 9 : 8)
            #expect(consortium.held(ConsortiumAccount.reserve) == held + 10_000_000)
            try consortium.applied([.closeItem(item.text)], by: Consortium.coordinator, at: 9)
            #expect(consortium.held(ConsortiumAccount.stake(of: reader)) == 0)
            #expect(consortium.held(ConsortiumAccount.appeal(of: reader)) == 0)
            #expect(consortium.audit().isEmpty)
        }
    }

    @Test("what an appeal brings back after its reader left goes on to the reserve, once")
    func lateAppeal() throws {
        var consortium = try Self.founded.get()
        let item = try item()
        try consortium.draw([item], by: Self.east)
        let readers = consortium.asked(item)
        let (silent, site) = (readers[0], AccountID(.site, organisation(readers[0])))
        for reader in readers {
            try consortium.applied([consortium.commit(item, 3, by: reader)], by: reader, at: 5)
        }
        for reader in readers.dropFirst() {
            try consortium.applied([consortium.reveal(item, 3, by: reader)], by: reader, at: 6)
        }
        let closing = try consortium.envelope([.closeItem(item.text)], by: Consortium.coordinator)
        let effects = try consortium.execute([closing], at: 9).effects
        let penalty = try #require(effects.first?.postings.first)
        let (stake, appeal) = (
            ConsortiumAccount.stake(of: silent), ConsortiumAccount.appeal(of: silent)
        )
        #expect(consortium.held(appeal) == 10_000_000)
        try consortium.applied([.revoke(silent.text)], by: silent)
        for voter in [Self.east, Consortium.north, Consortium.west] {
            try consortium.applied(
                [.correction(closing.id.bytes, penalty, returned: 10_000_000)], by: voter)
        }
        #expect(consortium.held(stake) == 10_000_000 && consortium.held(appeal) == 0)
        let held = consortium.held(ConsortiumAccount.reserve)
        try consortium.applied([.revoke(silent.text)], by: site)
        #expect(consortium.held(ConsortiumAccount.reserve) == held + 10_000_000)
        #expect(try consortium.outcome(.revoke(silent.text), by: site) == .unknownAccount)
        #expect(consortium.audit().isEmpty)
    }

    @Test("who has left meanwhile is asked in no later wave, and not as a senior")
    func leftBetweenWaves() throws {
        let item = try item()
        var consortium = try Self.founded.get()
        try consortium.draw([item], by: Self.east)
        try consortium.answer(item, [1, 3, 5])
        var plain = consortium
        try plain.answer(item, [1, 5])
        let third = plain.asked(item)
        try plain.answer(item, [1, 5])
        let seniors = plain.asked(item)
        #expect(third.count == 2 && seniors.count == 2)
        for gone in [third[0], seniors[0]] {
            var other = consortium
            try other.applied(
                [.revoke(gone.text)], by: AccountID(.site, organisation(gone)),
                at: other.height.value)
            try other.answer(item, [1, 5])
            if gone == third[0] {
                let asked = other.asked(item)
                #expect(asked.count == 2 && asked.contains(third[1]) && !asked.contains(gone))
                continue
            }
            #expect(other.asked(item) == third)
            try other.answer(item, [1, 5])
            let judges = other.asked(item)
            #expect(judges.count == 2 && judges.contains(seniors[1]) && !judges.contains(gone))
        }
    }

    @Test("a reader with a new key goes on with it; the old one signs nothing any more")
    func newKey() throws {
        var consortium = try Self.founded.get()
        let item = try item()
        try consortium.draw([item], by: Self.east)
        let readers = consortium.asked(item)
        let reader = readers[0]
        for reader in readers {
            try consortium.applied([consortium.commit(item, 3, by: reader)], by: reader, at: 5)
        }
        let key = try SigningKey(seed: named("new key of \(reader)"))
        try consortium.applied(
            [
                .rekey(
                    signedMember(
                        account: reader, signing: key, vote: nil,
                        transport: named("new transport of \(reader)"), endpoint: ""))
            ], by: reader)
        // The salt is the one of the commitment: it came from the key of before.
        let reveal = try consortium.reveal(item, 3, by: reader)
        let old = try consortium.envelope([reveal], by: reader)
        var copy = consortium
        #expect(throws: ExecutionFault.badSignature(reader, envelope: old.id)) {
            try copy.execute([old])
        }
        let new = try Envelope(
            strictly: signedEnvelope(
                [reveal], signer: reader, sequence: consortium.sequence(of: reader),
                notAfter: Height(.max), network: consortium.network, key: key),
            network: consortium.network)
        #expect(try consortium.execute([new]).effects.map(\.outcome) == [0])
    }

    @Test("another kind of answers is not decided on while items of the period are open")
    func kindInForce() throws {
        var consortium = try Self.founded.get()
        var inForce = consortium.agreement
        func outcome(of agreement: WireAgreement) throws -> Rejection? {
            var wire = WireDecision()
            wire.term = 2
            wire.coordinator = Consortium.coordinator.text
            wire.coordinatorKey = data(
                try signingKey(of: Consortium.coordinator).verifyingKey.bytes)
            wire.voters = consortium.genesis.voters.wire
            wire.agreement = agreement
            wire.reason = "another question"
            let decision = try Decision(strictly: wire.encoded(), network: consortium.network)
            do throws(Rejection) {
                try Contracts.check(
                    decision, on: consortium.state, at: consortium.height.next, inForce: inForce)
                return nil
            } catch { return error }
        }
        let other = AnswerKindTests.agreement(.measurement)
        var fewer = inForce
        fewer.annotation.classes = 4
        fewer.training.positiveAbove = 2
        var same = inForce
        same.annotation.waves = [3]
        try consortium.draw([item()], by: Self.east)
        #expect(try outcome(of: other) == .answersUnderWay)
        #expect(try outcome(of: fewer) == .answersUnderWay)
        #expect(try outcome(of: same) == nil)
        try consortium.answer(item(), [3, 3, 3])
        #expect(try outcome(of: other) == nil)
        #expect(try outcome(of: fewer) == nil)

        let names = ["1", "2", "3", "4", "5"]
        func named(_ labels: [String]) -> WireAgreement {
            var agreement = inForce
            agreement.annotation.labels = labels
            agreement.training.positiveAbove = 2
            agreement.annotation.classes = UInt32(labels.isEmpty ? 5 : labels.count)
            return agreement
        }
        inForce = named(names)
        #expect(try outcome(of: named(names + ["6"])) == nil)
        for labels in [["2", "1", "3", "4", "5"], ["0"] + names, Array(names.prefix(4)), []] {
            #expect(try outcome(of: named(labels)) == .labelsMoved)
        }
        #expect(try outcome(of: other) == nil)
        inForce = named([])
        #expect(try outcome(of: named(names)) == nil)
    }

    @Test("the order of candidates and the hashes are those of the Python model")
    func vectors() throws {
        let network = try #require(Digest([UInt8](repeating: 0x11, count: 32)))
        let item = try itemID("north/n0001")
        let secret = [UInt8](repeating: 0x22, count: 32)
        let id = NetworkID(network)
        #expect(
            seedCommitment(network: id, item: item, secret: secret).hex == Self.commitmentVector)
        let seed = panelSeed(
            network: id, item: item, secret: secret, beacon: [UInt8](repeating: 0x33, count: 32))
        #expect(hexString(seed) == Self.seedVector)
        let candidates = (1...4).flatMap { number in
            ["a", "b", "c"].map {
                Candidate(
                    account: AccountID(.annotator, "\($0)-\(number)"),
                    organisation: AccountID(.site, $0))
            }
        }
        let given = [AccountID(.site, "a"): 1]
        #expect(
            drawOrder(candidates, seed: seed, given: given).map(\.name).joined(separator: " ")
                == Self.orderVector)
    }

    static let commitmentVector = "9b51b73c7fb95c71f229002d1d98b49ae0e953439cf8728b245d3a1f63eab080"
    static let seedVector = "40869c291468b7df8613368bef019571bc808836262e81d56f465d391c185417"
    static let orderVector = "c-2 b-3 a-2 b-2 c-3 a-3 b-4 c-4 a-1 b-1 c-1 a-4"
}
