import Cryptography
import Ledger
import Synchronization
import Wire

/// Every key of every account and generation, made from its name alone.
///
/// Keys do not depend on the seed: a hunt makes them once. What a signature covers does, for it
/// names the network.
package final class KeyCabinet: Sendable {
    private let signing = Mutex<[String: SigningKey]>([:])
    private let members = Mutex<[String: Member]>([:])

    package init() {}

    private func key(_ name: String) throws -> SigningKey {
        try signing.withLock { known in
            if let key = known[name] { return key }
            let made = try SigningKey(seed: Digest.sha256(Array("simulated \(name)".utf8)).bytes)
            known[name] = made
            return made
        }
    }

    func signingKey(of account: AccountID, _ generation: Int = 0) throws -> SigningKey {
        try key("signing \(account) \(generation)")
    }

    func voteKey(of account: AccountID, _ generation: Int = 0) throws -> SigningKey {
        try key("vote \(account) \(generation)")
    }

    /// - Parameters:
    ///   - account: of the member.
    ///   - generation: of its signing key.
    ///   - vote: generation of its vote key.
    /// - Returns: the signed document.
    /// - Throws: a failure of the library.
    func member(_ account: AccountID, _ generation: Int = 0, vote: Int? = nil) throws -> Member {
        let votes = account.role?.votes == true
        let name = "\(account) \(generation) \(vote ?? generation)"
        if let known = members.withLock({ $0[name] }) { return known }
        let made = try Member(
            strictly: signedMember(
                account: account, signing: signingKey(of: account, generation),
                vote: votes ? voteKey(of: account, vote ?? generation) : nil,
                transport: Digest.sha256(Array("transport \(account) \(generation)".utf8)).bytes,
                endpoint: votes ? "tcp://\(account.name):1" : ""))
        members.withLock { $0[name] = made }
        return made
    }
}

/// The keys of a voter's home: the present set, and during a change the one to come.
struct KeyRing {
    let account: AccountID
    let signing: SigningKey
    let voteKeys: [SigningKey]
    /// The signing key of the other set.
    let next: SigningKey?
}

/// What a voter's home holds beside the ledger.
struct Home {
    let account: AccountID
    /// Generation of the signing and transport keys in use.
    var generation = 0
    var vote = 0
    /// After a rotation: the generation of the set to come.
    var next: Int?

    /// Forgets the keys before a rotation that the chain lists.
    mutating func adopt() {
        guard let next else { return }
        (generation, vote) = (next, next)
        self.next = nil
    }

    /// As `tally` reads a home's keys: the set that the chain lists comes first.
    func ring(_ cabinet: KeyCabinet, listed: [UInt8]?) throws -> KeyRing {
        let present = try cabinet.signingKey(of: account, generation)
        let vote = try cabinet.voteKey(of: account, vote)
        guard let next else {
            return KeyRing(account: account, signing: present, voteKeys: [vote], next: nil)
        }
        let nextSigning = try cabinet.signingKey(of: account, next)
        let nextVote = try cabinet.voteKey(of: account, next)
        if listed == nextSigning.verifyingKey.bytes {
            return KeyRing(
                account: account, signing: nextSigning, voteKeys: [nextVote, vote],
                next: present)
        }
        return KeyRing(
            account: account, signing: present, voteKeys: [vote, nextVote],
            next: nextSigning)
    }

    /// The document that a decision carries.
    func member(_ cabinet: KeyCabinet) throws -> Member {
        if let next { return try cabinet.member(account, next) }
        return try cabinet.member(account, generation, vote: vote)
    }
}

/// The agreement of every simulated consortium: short windows, small sums.
func simulatedAgreement(_ options: Options, developer: AccountID) -> WireAgreement {
    var agreement = WireAgreement()
    agreement.study = "simulated"
    agreement.chain.blockIntervalMs = UInt32(options.blockInterval)
    agreement.chain.checkpointInterval = UInt32(options.checkpointInterval)
    agreement.chain.inclusionPromise = 8
    // Windows count blocks, and readers need their time.
    let window: UInt32 = options.trains ? 12 : 4
    agreement.annotation.rule = "annotation/1"
    agreement.annotation.answer = "ordinal"
    agreement.annotation.classes = 5
    agreement.annotation.panel = "own-site"
    agreement.annotation.commitWindow = window
    agreement.annotation.revealWindow = window
    agreement.annotation.minimumAnswers = 2
    agreement.annotation.nearShareNumerator = 2
    agreement.annotation.nearShareDenominator = 3
    agreement.annotation.nearDistance = 1
    agreement.annotation.maximumSpread = 2
    agreement.annotation.periodItems = 2
    agreement.training.trainer = "logistic-regression"
    agreement.training.features = ["diameter"]
    agreement.training.positiveAbove = 3
    agreement.training.negativeBelow = 3
    agreement.training.rounds = 3
    agreement.training.localSteps = 1
    agreement.training.learningRateMillionths = 100_000
    agreement.training.normBoundMillionths = 10_000_000
    agreement.training.roundDeadline = window
    agreement.training.aggregation = "fedavg"
    agreement.training.utility = "concordance"
    agreement.rewards.supplyMicrotokens = 1_000_000_000_000
    agreement.rewards.roundPoolMicrotokens = 1_000_003
    agreement.rewards.patientsBasisPoints = 4_000
    agreement.rewards.annotatorsBasisPoints = 3_000
    agreement.rewards.sitesBasisPoints = 1_500
    agreement.rewards.developersBasisPoints = 1_500
    var share = WireDeveloperShare()
    share.account = developer.text
    share.weight = 1
    agreement.rewards.developers = [share]
    agreement.rewards.warmUpRounds = 1
    agreement.rewards.appealWindow = 3
    agreement.rewards.stakeMicrotokens = 10_000_000
    return agreement
}
