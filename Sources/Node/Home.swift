package import Cryptography
import Foundation
import Glibc
package import Ledger
import Storage

/// What is wrong with a node's folder, and what to do.
package enum HomeError: Error, Hashable, Sendable, CustomStringConvertible {
    case missing(file: String, remedy: String)
    case exists(file: String)
    case tooOpen(file: String, mode: String)
    case unreadable(file: String, reason: String)
    case unwritable(file: String, reason: String)
    case foreign(String)

    package var description: String {
        switch self {
        case .missing(let file, let remedy): "\(file) is not there; \(remedy)"
        case .exists(let file):
            "\(file) exists already; it is not overwritten. Choose another --home"
        case .tooOpen(let file, let mode):
            "\(file) can be read by others (mode \(mode)); run chmod 600 on it"
        case .unreadable(let file, let reason): "\(file) cannot be read: \(reason)"
        case .unwritable(let file, let reason):
            "\(file) cannot be written: \(reason); nothing was kept"
        case .foreign(let sentence): sentence
        }
    }
}

/// A member's private keys.
package struct KeyRing: Sendable {
    package let account: AccountID
    package let signing: SigningKey
    /// Of voters only: the present one, and during a change the one to come.
    package let voteKeys: [SigningKey]
    package let transport: TransportKey
    /// The transport keys of the home's other sets, the newest first: others may go by one of them
    /// while this node's chain, or theirs, does not list the same as the other's.
    package let otherTransports: [TransportKey]
    /// The signing keys of the home's other sets: of those before, and during a change of the one
    /// to come.
    package let others: [SigningKey]
    /// Keys that are given up: they neither vote nor propose.
    package let retired: Set<VerifyingKey>

    package init(
        account: AccountID, signing: SigningKey, voteKeys: [SigningKey], transport: TransportKey,
        otherTransports: [TransportKey] = [], others: [SigningKey] = [],
        retired: Set<VerifyingKey> = []
    ) {
        self.account = account
        self.signing = signing
        self.voteKeys = voteKeys
        self.transport = transport
        self.otherTransports = otherTransports
        self.others = others
        self.retired = retired
    }

    /// Every signing key of the home, the present one first.
    package var all: [SigningKey] { [signing] + others }

    /// The keys that a coordinator may propose with, the present one first.
    package var proposing: [SigningKey] {
        all.filter { !retired.contains($0.verifyingKey) }
    }
}

/// A member's folder: `keys/`, `genesis.tally`, and on a node `ledger.sqlite` and `blobs/`.
package struct Home: Sendable {
    package let path: String

    package init(_ path: String) {
        let absolute =
            path.hasPrefix("/")
            ? path : FileManager.default.currentDirectoryPath + "/" + path
        self.path = URL(fileURLWithPath: absolute).standardizedFileURL.path
    }

    package var keys: String { path + "/keys" }
    package var genesis: String { path + "/genesis.tally" }
    package var contentKeyFile: String { path + "/keys/content.key" }
    package var ledger: String { path + "/ledger.sqlite" }
    package var patients: String { path + "/patients.sqlite" }
    package var blobs: String { path + "/blobs" }
    /// A file for each offence that this node knows evidence of.
    package var evidence: String { path + "/evidence" }
    package var cache: String { path + "/cache" }
    package var socket: String { path + "/tally.sock" }
    /// The account whose node a reader's home asks.
    package var siteFile: String { path + "/site" }
    /// The member document of that node, where it is not the one in the genesis document.
    package var siteDocument: String { path + "/site.document" }

    package func exists(_ file: String) -> Bool { FileManager.default.fileExists(atPath: file) }

    package func makeFolders() throws {
        for folder in [path, keys] {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        }
    }

    /// Writes a file whole or not at all; a secret one has mode 0600 from its first byte.
    package func write(_ bytes: [UInt8], to file: String, secret: Bool) throws {
        guard !exists(file) else { throw HomeError.exists(file: file) }
        try replace(file, with: bytes, secret: secret)
    }

    /// Writes a file whole or not at all, in the place of the one that is there.
    package func replace(_ file: String, with bytes: [UInt8], secret: Bool = true) throws {
        let temporary = file + ".new"
        func failure() -> HomeError {
            HomeError.unwritable(file: file, reason: String(cString: strerror(errno)))
        }
        let descriptor = open(temporary, O_CREAT | O_TRUNC | O_WRONLY, secret ? 0o600 : 0o644)
        guard descriptor >= 0 else { throw failure() }
        let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        let isKept = written == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isKept, rename(temporary, file) == 0 else {
            let error = failure()
            unlink(temporary)
            throw error
        }
        let folder = URL(filePath: file).deletingLastPathComponent().path(percentEncoded: false)
        try synchroniseFolder(folder)
    }

    package func read(_ file: String, remedy: String) throws -> [UInt8] {
        guard exists(file) else { throw HomeError.missing(file: file, remedy: remedy) }
        do {
            return try fileContent(file)
        } catch {
            throw HomeError.unreadable(file: file, reason: error.reason.words)
        }
    }

    private func readSecret(_ file: String, remedy: String) throws -> [UInt8] {
        let bytes = try read(file, remedy: remedy)
        let attributes = try FileManager.default.attributesOfItem(atPath: file)
        let mode = (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
        guard mode & 0o077 == 0 else {
            throw HomeError.tooOpen(file: file, mode: String(mode, radix: 8))
        }
        return bytes
    }

    // MARK: keys

    /// Makes a member's keys; they never leave this home.
    ///
    /// - Returns: the public member document, also written to `NAME.member`.
    package func makeKeys(
        account: AccountID, endpoint: String, passphrase: String?
    ) throws -> (file: String, member: Member) {
        let document = "\(path)/\(account.name).member"
        guard !exists(keys + "/sign.pem") else { throw HomeError.exists(file: keys + "/sign.pem") }
        guard !exists(document) else { throw HomeError.exists(file: document) }
        try makeFolders()
        if account.role == .site {
            try write(
                try SealingKey.generate().bytes, to: keys + "/patients.key", secret: true)
        }
        let signed = try writeKeys(
            of: account, endpoint: endpoint, in: keys, passphrase: passphrase
        ) { try write($0, to: document, secret: false) }
        return (document, try Member(strictly: signed))
    }

    /// Makes keys in a folder; the signing key comes last, so that who has it has everything else.
    private func writeKeys(
        of account: AccountID, endpoint: String, in folder: String, passphrase: String?,
        document: ([UInt8]) throws -> Void
    ) throws -> [UInt8] {
        let signing = try SigningKey.generate()
        let vote = account.role?.votes == true ? try SigningKey.generate() : nil
        let transport = try TransportKey.generate()
        let signed = try signedMember(
            account: account, signing: signing, vote: vote, transport: transport.publicKey,
            endpoint: endpoint)
        if let vote {
            try write(
                Array(try vote.pem(passphrase: passphrase).utf8), to: folder + "/vote.pem",
                secret: true)
        }
        try write(
            Array(try transport.pem(passphrase: passphrase).utf8), to: folder + "/transport.pem",
            secret: true)
        try document(signed)
        try write(
            Array(try signing.pem(passphrase: passphrase).utf8), to: folder + "/sign.pem",
            secret: true)
        return signed
    }

    /// Makes the keys that are to take the place of the present ones.
    ///
    /// - Parameters:
    ///   - passphrase: for the key files; nil for none.
    ///   - listed: the signing key that the chain lists for this account; nil when it is not known.
    /// - Returns: the public document, `NAME.next-member`, also kept beside the keys.
    /// - Throws: ``HomeError``; that the keys made before are not in force yet is one.
    package func makeNextKeys(
        passphrase: String?, listed: [UInt8]? = nil
    ) throws -> (file: String, member: Member) {
        let own = try member()
        if rotations > 0, !usesNextKeys, try nextMember().signingKey.bytes != listed {
            throw HomeError.exists(file: nextKeys + "/sign.pem")
        }
        return try addKeySet(of: own, passphrase: passphrase)
    }

    /// Gives up every key that votes or proposes, for ever, and makes a whole new set, since what the
    /// old ones signed may be lost.
    ///
    /// The keys that the chain lists sign envelopes and connect until a decision brings the new set
    /// in. So that they do, none of them is touched.
    ///
    /// - Parameter passphrase: of the key files.
    /// - Returns: the public document of the new set, `NAME.next-member`, also kept beside its keys.
    /// - Throws: ``HomeError``; a worker that is running is one.
    package func declareRestored(passphrase: String?) throws -> (file: String, member: Member) {
        let lock = try HomeLock(self)
        defer { withExtendedLifetime(lock) {} }
        // Where these cannot be read, new ones beside them would be of no use.
        _ = try keyRing(passphrase: passphrase)
        // The old keys go first: whatever happens then, they never vote again.
        try retireKeys()
        return try addKeySet(of: member(), passphrase: passphrase)
    }

    private func addKeySet(
        of own: Member, passphrase: String?
    ) throws -> (file: String, member: Member) {
        let document = "\(path)/\(own.account.name).next-member"
        let folder = rotation(rotations + 1)
        // What a rotation left that did not come to its end.
        if exists(folder) { try FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let signed = try writeKeys(
            of: own.account, endpoint: own.endpoint, in: folder, passphrase: passphrase
        ) {
            try write($0, to: folder + "/next.member", secret: false)
            try replace(document, with: $0, secret: false)
        }
        return (document, try Member(strictly: signed))
    }

    /// The member document of this home.
    package func member() throws -> Member {
        let names = try FileManager.default.contentsOfDirectory(atPath: path)
            .filter { $0.hasSuffix(".member") }.sorted()
        guard let name = names.first else {
            throw HomeError.missing(
                file: path + "/NAME.member", remedy: "make keys with `tally key new`")
        }
        let bytes = try read(path + "/" + name, remedy: "make keys with `tally key new`")
        return try Member(strictly: bytes)
    }

    /// The keys of this home.
    ///
    /// Each `tally key rotate` adds a set: `keys/` is the first, `keys/next/` the second,
    /// `keys/next-2/` the third. One takes the place of the one before once the chain lists it; none
    /// is deleted, since what an earlier key derived is still needed.
    ///
    /// - Parameters:
    ///   - passphrase: of the key files; nil when they have none.
    ///   - listed: the signing key that the chain lists for this account; nil when it lists none.
    /// - Returns: the keys to sign and connect with, and every vote key that may be needed.
    /// - Throws: ``HomeError``, or what is wrong with a key file.
    package func keyRing(passphrase: String?, listed: [UInt8]? = nil) throws -> KeyRing {
        var sets = [try keySet(keys, member(), passphrase)]
        for number in stride(from: 1, through: rotations, by: 1) {
            sets.append(try keySet(rotation(number), rotatedMember(number), passphrase))
        }
        let place =
            sets.lastIndex { $0.signing.verifyingKey.bytes == listed }
            ?? (usesNextKeys ? sets.count : max(sets.count - 1, 1)) - 1
        let chosen = sets.remove(at: place)
        sets.reverse()
        let known = chosen.voteKeys.map(\.verifyingKey)
        return KeyRing(
            account: chosen.account, signing: chosen.signing,
            voteKeys: chosen.voteKeys
                + sets.flatMap(\.voteKeys).filter { !known.contains($0.verifyingKey) },
            transport: chosen.transport, otherTransports: sets.map(\.transport),
            others: sets.map(\.signing), retired: chosen.retired)
    }

    private func keySet(
        _ folder: String, _ member: Member, _ passphrase: String?
    ) throws -> KeyRing {
        let remedy = "make keys with `tally key new`"
        func pem(_ name: String) throws -> String {
            String(decoding: try readSecret("\(folder)/\(name).pem", remedy: remedy), as: UTF8.self)
        }
        let signing = try SigningKey(pem: pem("sign"), passphrase: passphrase)
        let transport = try TransportKey(pem: pem("transport"), passphrase: passphrase)
        let retired = try retiredKeys()
        let vote =
            member.voteKey == nil ? nil : try SigningKey(pem: pem("vote"), passphrase: passphrase)
        guard signing.verifyingKey == member.signingKey, transport.publicKey == member.transportKey,
            vote?.verifyingKey == member.voteKey
        else { throw HomeError.foreign("the keys in \(folder) are not those of \(member.account)") }
        return KeyRing(
            account: member.account, signing: signing,
            voteKeys: [vote].compactMap { $0 }.filter { !retired.contains($0.verifyingKey) },
            transport: transport, otherTransports: [], others: [], retired: retired)
    }

    /// The folder of the keys that a rotation made, counted from 1.
    func rotation(_ number: Int) -> String { keys + (number == 1 ? "/next" : "/next-\(number)") }

    /// The rotations made so far; one is made once its signing key is there.
    var rotations: Int {
        var made = 0
        while exists(rotation(made + 1) + "/sign.pem") { made += 1 }
        return made
    }

    /// The folder of the newest keys that `tally key rotate` made, or will.
    package var nextKeys: String { rotation(max(rotations, 1)) }

    private var nextKeysMark: String { nextKeys + "/listed" }

    /// Whether the chain is known to list the newest set; a node asks its own chain instead.
    package var usesNextKeys: Bool { exists(nextKeysMark) }

    /// Takes note that the chain lists the newest set.
    package func useNextKeys() throws { try write([], to: nextKeysMark, secret: false) }

    /// The newest member document that `tally key rotate` made.
    package func nextMember() throws -> Member { try rotatedMember(max(rotations, 1)) }

    func rotatedMember(_ number: Int) throws -> Member {
        let remedy = "make new keys with `tally key rotate`"
        return try Member(strictly: try read(rotation(number) + "/next.member", remedy: remedy))
    }

    package func patientsKey() throws -> SealingKey {
        try SealingKey(
            readSecret(keys + "/patients.key", remedy: "restore the site's keys from backup"))
    }

    /// From which a site's secrets for drawn panels come; it outlives a change of signing keys.
    package func panelKey() throws -> [UInt8] {
        let key = try readSecret(
            keys + "/patients.key", remedy: "restore the site's keys from backup")
        return hmacSHA256(key: key, Array("tally/panel-key/v1".utf8)).bytes
    }

    /// The consortium's content key, 32 bytes, handed over with genesis.
    package func contentKey() throws -> [UInt8] {
        let bytes = try readSecret(
            contentKeyFile, remedy: "ask the coordinator for it and join again")
        guard bytes.count == 32 else {
            throw HomeError.unreadable(file: contentKeyFile, reason: "it has not 32 bytes")
        }
        return bytes
    }

    package func genesisDocument() throws -> Genesis {
        let bytes = try read(genesis, remedy: "join a network with `tally network join`")
        do {
            return try Genesis(strictly: bytes)
        } catch { throw HomeError.unreadable(file: genesis, reason: "\(error)") }
    }
}
