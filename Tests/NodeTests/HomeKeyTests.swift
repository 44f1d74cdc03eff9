import Cryptography
import Foundation
import Ledger
import Node
import Testing

/// Which keys a home goes by after rotations and restores.
struct HomeKeyTests {
    private func withHome(_ body: (Home) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tally-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(Home(folder.path()))
    }

    @Test(
        "a restore gives up the keys of every set and makes a new one, also after a rotation",
        arguments: [Role.site, .coordinator])
    func restores(role: Role) throws {
        try withHome { home in
            let account = AccountID(role, "east")
            let first = try home.makeKeys(
                account: account, endpoint: "tcp://127.0.0.1:7300", passphrase: nil
            ).member
            let rotated = try home.makeNextKeys(passphrase: nil).member
            // Rotated once more, and not decided on yet.
            let waiting = try home.makeNextKeys(
                passphrase: nil, listed: rotated.signingKey.bytes
            ).member
            let (file, restored) = try home.declareRestored(passphrase: nil)
            #expect(file.hasSuffix("/east.next-member"))
            #expect(try Member(strictly: home.read(file, remedy: "")) == restored)
            #expect(restored.account == account && restored.endpoint == first.endpoint)
            for old in [first, rotated, waiting] {
                #expect(restored.signingKey != old.signingKey)
                #expect(restored.voteKey != old.voteKey)
                #expect(restored.transportKey != old.transportKey)
            }
            // The chain lists the rotated ones still: they sign envelopes and connect.
            let before = try home.keyRing(passphrase: nil, listed: rotated.signingKey.bytes)
            #expect(before.signing.verifyingKey == rotated.signingKey)
            #expect(before.transport.publicKey == rotated.transportKey)
            #expect(before.otherTransports.map(\.publicKey).contains(restored.transportKey))
            #expect(before.voteKeys.map(\.verifyingKey) == [restored.voteKey])
            if role == .coordinator {
                #expect(before.proposing.map(\.verifyingKey) == [restored.signingKey])
            }
            let after = try home.keyRing(passphrase: nil, listed: restored.signingKey.bytes)
            #expect(after.signing.verifyingKey == restored.signingKey)
            #expect(after.transport.publicKey == restored.transportKey)
            #expect(after.voteKeys.map(\.verifyingKey) == [restored.voteKey])
            // Once more: what the first restore made votes no more either.
            let again = try home.declareRestored(passphrase: nil).member
            let last = try home.keyRing(passphrase: nil, listed: rotated.signingKey.bytes)
            #expect(last.voteKeys.map(\.verifyingKey) == [again.voteKey])
        }
    }
}
