import Contracts
import Cryptography
import Foundation
import Ledger
import Node
import Replay
import Storage
import Testing
import TestSupport
import Training
import Wire

@Suite("tally replay", .timeLimit(.minutes(5))) struct TrainingReplayTests {
    private func state(of home: StudiedHome) throws -> SQLiteState {
        SQLiteState(try LedgerStore.reading(at: home.home.ledger))
    }

    private func round(_ number: UInt32, _ home: StudiedHome) throws -> WireRoundState {
        var changes = ChangeSet(above: try state(of: home))
        let round = changes.round(1, number)
        return try #require(round)
    }

    @Test("every round is rebuilt bit for bit")
    func identical() throws {
        let home = try StudiedHome(of: Consortium.west)
        let report = try replay(home: home.home)
        #expect(report.identical == true && report.firstDifference == nil)
        #expect(report.rounds.map(\.round) == [1, 2])
        for entry in report.rounds {
            let recorded = try round(entry.round, home)
            #expect(entry.identical == true && entry.difference == nil)
            #expect(entry.model == hexString(recorded.model))
            let values = try WireRoundValues(strictly: [UInt8](recorded.values))
            #expect(
                entry.auc == Double(values.utility) / Double(values.utilityMaximum))
            #expect(
                entry.accuracy == Double(values.correct) / Double(values.referenceCount))
            #expect((entry.loss ?? 1) < 0.7)
        }
        #expect((report.rounds[1].loss ?? 1) < (report.rounds[0].loss ?? 0))
    }

    @Test("the report has every key, null where there is nothing to say")
    func reportKeys() throws {
        let home = try StudiedHome()
        for site in [nil, Consortium.east] {
            let encoded = try JSONEncoder().encode(replay(home: home.home, without: site))
            let object = try #require(
                try JSONSerialization.jsonObject(with: encoded) as? [String: Any])
            #expect(object["identical"] as? Bool == (site == nil ? true : nil))
            #expect((object["identical"] is NSNull) == (site != nil))
            let rounds = try #require(object["rounds"] as? [[String: Any]])
            #expect(rounds.count == 2)
            let keys: Set = [
                "run", "round", "identical", "model", "auc", "accuracy", "loss", "difference",
            ]
            #expect(rounds.allSatisfy { Set($0.keys) == keys })
        }
    }

    @Test("a replaced update is named, and the rounds that follow it")
    func replacedUpdate() throws {
        let home = try StudiedHome(of: Consortium.east)
        let update = try #require(try round(1, home).updates.first)
        #expect(update.site == "site/east")
        let name = hexString(update.update)
        // Another site's update: a sound model of the same shape, but not what the name says.
        let other = try #require(try round(1, home).updates.last)
        let digest = try #require(Digest(other.update))
        let blob = try readBlob(digest, in: home.home.blobs, upTo: .max)
        let bytes = try #require(blob)
        try Data(bytes).write(to: URL(filePath: "\(home.home.blobs)/\(name)"))
        let report = try replay(home: home.home)
        #expect(report.identical == false)
        #expect(report.rounds.map(\.identical) == [false, false])
        let difference = try #require(report.firstDifference)
        #expect(difference.hasPrefix("round 1.1: the update of site/east in round 1.1"))
        #expect(difference.contains(name))
        #expect(report.rounds[1].difference?.contains("follows round 1.1") == true)
        // The model on the chain can still be shown.
        #expect(report.rounds[1].auc != nil)
    }

    @Test("a missing blob is named by what it is", arguments: ["update", "manifest"])
    func missing(kind: String) throws {
        let home = try StudiedHome(of: Consortium.north)
        let update = try #require(try round(2, home).updates.last)
        let digest = kind == "update" ? update.update : update.manifest
        try FileManager.default.removeItem(atPath: "\(home.home.blobs)/\(hexString(digest))")
        let report = try replay(home: home.home)
        #expect(report.identical == false)
        let name = try #require(report.firstDifference)
        // A manifest is the same in both rounds.
        #expect(name.hasPrefix("round 1.\(kind == "update" ? 2 : 1): the \(kind) of site/west"))
    }

    @Test("reference records that are gone stop every round")
    func missingReference() throws {
        let home = try StudiedHome(of: Consortium.north)
        var changes = ChangeSet(above: try state(of: home))
        let offers = changes.run(1)?.offers
        let offer = try #require(offers?.first)
        try FileManager.default.removeItem(
            atPath: "\(home.home.blobs)/\(hexString(offer.records))")
        let report = try replay(home: home.home)
        #expect(
            report.rounds.allSatisfy {
                $0.difference?.contains("the reference records of site/east") == true
            })
    }

    @Test("an effect that was changed makes the replay differ")
    func changedEffect() throws {
        let home = try StudiedHome()
        try home.tamper(sql: "UPDATE effects SET content = zeroblob(40) WHERE logIndex = 100")
        let report = try replay(home: home.home)
        #expect(report.identical == false)
        #expect(report.rounds.allSatisfy { $0.identical == true })
        #expect(report.findings.map(\.place).first?.hasPrefix("table effects, row 100") == true)
        #expect(report.firstDifference?.hasPrefix("table effects, row 100") == true)
    }

    @Test("values that a quorum made up are found out")
    func otherValues() throws {
        let home = try StudiedHome()
        let source = try state(of: home)
        var changes = ChangeSet(above: source)
        let recorded = changes.round(1, 2)
        var lied = try #require(recorded)
        var values = try WireRoundValues(strictly: [UInt8](lied.values))
        values.sites[1].verified += 1
        lied.values = data(values.encoded())
        let layered = LayeredState(
            base: source, layers: [[StateKey(.rounds, roundKey(1, 2)): lied.encoded()]])
        var rounds: [ReplayedRound] = []
        var models = CoalitionMemory()
        let blobs = home.home.blobs
        try TrainingReplay(
            terms: TermHistory(genesis: home.home.genesisDocument()), state: layered,
            contentKey: nil,
            blob: { try readBlob($0, in: blobs, upTo: $1) }
        ).compare(models: &models) { rounds.append($0) }
        #expect(rounds.map(\.identical) == [true, false])
        let difference = try #require(rounds[1].difference)
        #expect(difference.hasPrefix("other values: site/north answered with "))
        #expect(!difference.contains("the updates give"))
    }

    @Test("a run from a model that nothing accounts for is checked by no voter, and audits name it")
    func strayRun() throws {
        let home = try StudiedHome()
        let source = try state(of: home)
        let terms = TermHistory(genesis: try home.home.genesisDocument())
        #expect(strayRuns(in: source, terms: terms).isEmpty)
        var changes = ChangeSet(above: source)
        let recorded = changes.run(1)
        var run = try #require(recorded)
        run.initialModel[run.initialModel.startIndex] ^= 1
        let layered = LayeredState(
            base: source, layers: [[StateKey(.runs, bigEndian(UInt32(1))): run.encoded()]])
        let words = "neither the agreement's initial one nor of an earlier round"
        let found = strayRuns(in: layered, terms: terms).list
        #expect(found.map(\.place) == ["run 1"])
        #expect(found.allSatisfy { $0.finding.contains(words) })
        var rounds: [ReplayedRound] = []
        var models = CoalitionMemory()
        let blobs = home.home.blobs
        try TrainingReplay(
            terms: terms, state: layered, contentKey: nil,
            blob: { try readBlob($0, in: blobs, upTo: $1) }
        ).compare(models: &models) { rounds.append($0) }
        #expect(rounds.map(\.identical) == [false, false])
        #expect(rounds[0].difference?.contains(words) == true)
    }

    @Test("a run may start from what a round of an earlier run made, and from no later one")
    func start() throws {
        let home = try StudiedHome()
        let agreement = try home.home.genesisDocument().agreement
        var changes = ChangeSet(above: try state(of: home))
        let recorded = changes.run(1)
        let first = try #require(recorded)
        #expect(try strayStart(of: first, under: agreement, in: &changes) == nil)
        var second = first
        second.number = 2
        second.initialModel = first.model
        #expect(try strayStart(of: second, under: agreement, in: &changes) == nil)
        second.number = 1
        #expect(try strayStart(of: second, under: agreement, in: &changes) != nil)
        second.number = 2
        second.initialModel[second.initialModel.startIndex] ^= 1
        #expect(try strayStart(of: second, under: agreement, in: &changes) != nil)
        var other = agreement
        other.training.seed += 1
        #expect(try strayStart(of: first, under: other, in: &changes) == nil)
        other.training.features.append("noise")
        #expect(try strayStart(of: first, under: other, in: &changes) != nil)
    }

    @Test("models that are not kept are rebuilt from the recorded updates")
    func forgetful() throws {
        struct Forgetful: CoalitionModels {
            func model(of coalition: Int, run: UInt32, after round: UInt32) -> Parameters? { nil }
            func keep(_ model: Parameters, of coalition: Int, run: UInt32, after round: UInt32) {}
        }
        let home = try StudiedHome()
        var models = Forgetful()
        var rounds: [ReplayedRound] = []
        let blobs = home.home.blobs
        try TrainingReplay(
            terms: TermHistory(genesis: home.home.genesisDocument()), state: state(of: home),
            contentKey: nil,
            blob: { try readBlob($0, in: blobs, upTo: $1) }
        ).compare(models: &models) { rounds.append($0) }
        #expect(rounds.map(\.identical) == [true, true])
    }

    @Test("leaving a site out averages the updates of the others")
    func without() throws {
        let home = try StudiedHome()
        let report = try replay(home: home.home, without: Consortium.east)
        #expect(report.identical == nil && report.without == "site/east")
        // The slow way: the weighted mean of the two others, round after round.
        var changes = ChangeSet(above: try state(of: home))
        let recordedRun = changes.run(1)
        let run = try #require(recordedRun)
        func values(_ name: some Collection<UInt8>) throws -> [Float] {
            let digest = try #require(Digest(name))
            let blob = try readBlob(digest, in: home.home.blobs, upTo: .max)
            let bytes = try #require(blob)
            return try Safetensors(decoding: bytes).parameters.flat
        }
        var model = try values(run.initialModel)
        for entry in report.rounds {
            let recorded = try round(entry.round, home)
            let others = recorded.updates.filter { $0.site != "site/east" }
            let total = others.reduce(0.0) { $0 + Double($1.examples) }
            var sums = [Double](repeating: 0, count: model.count)
            for update in others {
                for (place, value) in try values(update.update).enumerated() {
                    sums[place] += Double(update.examples) * Double(value)
                }
            }
            model = zip(model, sums).map { Float(Double($0) + $1 / total) }
            let bytes = try Safetensors(
                Parameters([
                    Tensor(name: "bias", shape: [1], values: [model[0]]),
                    Tensor(name: "weight", shape: [2], values: Array(model[1...])),
                ])
            ).encoded()
            #expect(entry.model == Digest.sha256(bytes).hex)
            #expect(entry.model != hexString(recorded.model))
            #expect(entry.identical == nil && entry.auc != nil && entry.loss != nil)
        }
    }

    @Test("a site that took part in nothing cannot be left out")
    func unknownSite() throws {
        let home = try StudiedHome()
        #expect(throws: HomeError.self) {
            try replay(home: home.home, without: AccountID(.site, "south"))
        }
    }
}
