import Contracts
import Cryptography
import Deployments
import Federation
import Foundation
import Ledger
import Logging
import Messaging
import Node
import TestSupport
import Testing
import Wire

extension EndToEnd {
    @Suite("Members who lie")
    struct Impostors {
        @Test("a site that speaks for another is refused, whatever it says in its name")
        func otherSite() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let west = try Impostor("west", in: deployment)
                let north = try Home(deployment.home("north")).keyRing(passphrase: nil)
                let key = try north.voteKeys.first.orThrow("a voting key")
                // Even another's own good vote: who sends it must be who cast it.
                let vote = try Vote(
                    voter: north.account, slot: Slot(term: Term(1), height: Height(9_999)),
                    block: .zero, network: west.network, key: key)
                var request = WireRequest()
                request.vote.vote = data(vote.encoded())
                #expect(try await west.refusal(of: request) == "notPermitted")

                request.submit.envelope = data(
                    try west.envelope(signer: north.account, key: west.keys.signing))
                #expect(try await west.refusal(of: request) == "badSignature")
                request.submit.envelope = data(
                    try west.envelope(
                        signer: AccountID(.site, "nowhere"), key: west.keys.signing))
                #expect(try await west.refusal(of: request) == "unknownSigner")
                request.submit.envelope = data(
                    try west.envelope(
                        signer: west.keys.account, key: west.keys.signing, sequence: .max))
                #expect(try await west.refusal(of: request) == "sequenceTooFar")
                request.runStop = WireRunStopRequest()
                #expect(try await west.refusal(of: request) == "notPermitted")
                await west.close()
                try await deployment.checkAll()
            }
        }

        @Test("an annotator gets no block, blob or vote across, and none of a node's own requests")
        func annotator() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let reader = try Impostor("north-1", in: deployment)
                var request = WireRequest()
                request.nextBlock.hash = data(Digest.zero.bytes)
                #expect(try await reader.refusal(of: request) == "notPermitted")
                request.blobOffer.digest = data(Digest.zero.bytes)
                #expect(try await reader.refusal(of: request) == "notPermitted")
                request.blobRead.digest = data(Digest.zero.bytes)
                #expect(try await reader.refusal(of: request) == "notPermitted")
                request.exchange = WireExchange()
                #expect(try await reader.refusal(of: request) == "notPermitted")
                request.runStart.rounds = 1
                #expect(try await reader.refusal(of: request) == "notPermitted")
                await reader.close()
            }
        }

        @Test("a site whose exchanges are costly has one in hand")
        func exchanges() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let west = try Impostor("west", in: deployment)
                var request = WireRequest()
                let junk = try Ballot(
                    decision: .zero, voter: AccountID(.site, "north"), network: west.network,
                    key: west.keys.signing)
                request.exchange.ballots = Array(
                    repeating: data(junk.bytes), count: TermDesk.signatureLimit)
                let costly = request
                let answers = try await withThrowingTaskGroup(of: String?.self) { group in
                    for _ in 0..<32 {
                        group.addTask { try await west.refusal(of: costly) }
                    }
                    return try await group.reduce(into: [String?]()) { $0.append($1) }
                }
                #expect(answers.contains(nil), "one at a time is answered")
                #expect(answers.contains("busy"))
                #expect(answers.allSatisfy { $0 == nil || $0 == "busy" })
                await west.close()
            }
        }

        @Test("the coordinator takes no junk from one site at the cost of another's upload")
        func junk() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let west = try Impostor("west", in: deployment)
                let north = try Impostor("north", in: deployment)
                let content: [UInt8] = [1, 2, 3, 4]
                let digest = Digest.sha256(content)
                func offer(_ size: UInt64) -> WireRequest {
                    var request = WireRequest()
                    request.blobOffer.digest = data(digest.bytes)
                    request.blobOffer.size = size
                    return request
                }
                func chunk(_ bytes: [UInt8]) -> WireRequest {
                    var request = WireRequest()
                    request.blobChunk.digest = data(digest.bytes)
                    request.blobChunk.content = data(bytes)
                    return request
                }
                #expect(try await west.refusal(of: offer(9)) == nil)
                #expect(try await west.refusal(of: chunk([9, 9])) == nil)
                #expect(try await north.refusal(of: offer(4)) == nil)
                #expect(try await north.refusal(of: chunk(content)) == nil)
                let hub = Home(deployment.home(Deployment.coordinator))
                let blob = "\(hub.blobs)/\(digest.hex)"
                #expect(try [UInt8](Data(contentsOf: URL(filePath: blob))) == content)
                await west.close()
                await north.close()
            }
        }
    }
}

/// A member of a deployment that sends the coordinator whatever it likes, under its own keys.
private struct Impostor {
    let keys: KeyRing
    let network: NetworkID
    private let context: MessagingContext
    private let client: RequestClient

    init(_ name: String, in deployment: Deployment) throws {
        let home = Home(deployment.home(name))
        let hub = Home(deployment.home(Deployment.coordinator))
        keys = try home.keyRing(passphrase: nil)
        let genesis = try hub.genesisDocument()
        network = genesis.network
        context = try MessagingContext(
            logger: Logger(label: "impostor") { _ in SwiftLogNoOpLogHandler() })
        client = try RequestClient(
            context: context, endpoint: hub.member().endpoint,
            serverKey: genesis.coordinator.transportKey, key: keys.transport)
    }

    /// The code with which a request is refused; nil when it is not.
    func refusal(of request: WireRequest) async throws -> String? {
        do {
            _ = try await client.ask(request)
            return nil
        } catch let failure as RemoteFailure { return failure.code }
    }

    func envelope(signer: AccountID, key: SigningKey, sequence: UInt64 = 1_000) throws -> [UInt8] {
        try signedEnvelope(
            [.closeItem("west/none")], signer: signer, sequence: sequence,
            notAfter: Height(1_000_000), network: network, key: key)
    }

    func close() async {
        await client.close()
        await context.shutdown()
    }
}
