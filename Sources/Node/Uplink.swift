package import Contracts
package import Cryptography

package import Ledger
package import Messaging
package import Wire

/// A request that another node refused, in its words.
package struct RemoteFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package let code: String
    package let message: String

    package init(_ failure: WireFailure) {
        code = failure.code
        message = failure.message
    }

    package var description: String { message }
}

/// An answer that is not one of the protocol's.
package struct UnexpectedAnswer: Error, CustomStringConvertible {
    package let request: String

    package var description: String {
        "the answer to \"\(request)\" is none of this protocol; both sides should run one version"
    }
}

extension RequestClient {
    /// Sends one request and reads its answer.
    package func ask(
        _ request: WireRequest, timeout: Duration = .seconds(10)
    ) async throws -> WireResponse.OneOf_Body {
        let bytes = try await self.request(request.encoded(), timeout: timeout)
        let response = try WireResponse(strictly: bytes)
        switch response.body {
        case .failure(let failure)?: throw RemoteFailure(failure)
        case let body?: return body
        case nil: throw UnexpectedAnswer(request: "empty")
        }
    }

    package func status() async throws -> WireStatusResponse {
        var request = WireRequest()
        request.status = WireStatusRequest()
        guard case .status(let status) = try await ask(request) else {
            throw UnexpectedAnswer(request: "status")
        }
        return status
    }

    package func nextSequence(of account: AccountID) async throws -> WireNextSequence {
        var request = WireRequest()
        request.nextSequence.account = account.text
        guard case .nextSequence(let next) = try await ask(request) else {
            throw UnexpectedAnswer(request: "next sequence")
        }
        return next
    }

    package func submit(_ envelope: [UInt8]) async throws -> WireReceipt {
        var request = WireRequest()
        request.submit.envelope = data(envelope)
        guard case .receipt(let receipt) = try await ask(request) else {
            throw UnexpectedAnswer(request: "submit")
        }
        return receipt
    }

    package func status(of envelope: Digest) async throws -> WireEnvelopeStatus {
        var request = WireRequest()
        request.envelopeStatus.envelope = data(envelope.bytes)
        guard case .envelopeStatus(let status) = try await ask(request) else {
            throw UnexpectedAnswer(request: "envelope status")
        }
        return status
    }
}

/// Takes envelopes on their way to the coordinator.
package protocol EnvelopeSink: Sendable {
    func nextSequence(of account: AccountID) async throws -> WireNextSequence
    func submit(_ envelope: [UInt8]) async throws -> WireReceipt
}

extension RequestClient: EnvelopeSink {}

/// Signs transactions of one member and hands them to whoever forwards them to the coordinator.
///
/// An actor, so that the member's sequences go out in order.
package actor Submitter {
    /// Transactions an envelope; with the largest of them an envelope stays below its limit.
    package static let transactionsPerEnvelope = 2_000

    private let keys: KeyRing
    private let network: NetworkID
    private let validity: UInt64
    private let sink: any EnvelopeSink
    private var lastSequence: UInt64 = 0

    /// Signs for a member; an envelope may wait `validity` heights to be ordered.
    package init(
        keys: KeyRing, network: NetworkID, sink: any EnvelopeSink, validity: UInt64 = 10_000
    ) {
        self.keys = keys
        self.network = network
        self.sink = sink
        self.validity = validity
    }

    /// Submits transactions in as few envelopes as they need.
    ///
    /// - Returns: the ids of the envelopes, each accepted with a receipt.
    package func submit(_ transactions: [WireTransaction]) async throws -> [Digest] {
        var ids: [Digest] = []
        for part in envelopes(of: transactions) { ids.append(try await submitOne(part)) }
        return ids
    }

    private func submitOne(_ transactions: [WireTransaction]) async throws -> Digest {
        var attempts = 0
        while true {
            let next = try await sink.nextSequence(of: keys.account)
            let sequence = max(next.sequence, Contracts.nextSequence(after: lastSequence))
            let bytes = try signedEnvelope(
                transactions, signer: keys.account, sequence: sequence,
                notAfter: Height(next.settledHeight).advanced(by: validity), network: network,
                key: keys.signing)
            let envelope = try Envelope(strictly: bytes, network: network)
            do {
                _ = try await sink.submit(bytes)
                lastSequence = sequence
                return envelope.id
            } catch let failure as RemoteFailure where failure.code == "sequenceUsed" {
                attempts += 1
                guard attempts < 5 else { throw failure }
                lastSequence = sequence
            } catch let error as MessagingError {
                // It may have arrived: the same envelope again gets the first receipt.
                guard case .timedOut = error, attempts == 0 else { throw error }
                attempts += 1
                _ = try await sink.submit(bytes)
                lastSequence = sequence
                return envelope.id
            }
        }
    }

    private func envelopes(of transactions: [WireTransaction]) -> [[WireTransaction]] {
        var parts: [[WireTransaction]] = []
        var part: [WireTransaction] = []
        var size = 0
        for transaction in transactions {
            let bytes = transaction.encoded().count + 8
            if part.count == Self.transactionsPerEnvelope
                || size + bytes > Envelope.maximumBytes - 4_096
            {
                parts.append(part)
                part = []
                size = 0
            }
            part.append(transaction)
            size += bytes
        }
        return part.isEmpty ? parts : parts + [part]
    }
}

/// How the transactions of some envelopes came out.
package struct SettledOutcomes: Sendable {
    package let applied: Int
    /// Rejections with the index of the transaction among all.
    package let rejected: [(index: Int, rejection: Rejection?)]
    package let height: Height
}

/// Waits until envelopes are settled.
///
/// - Parameters:
///   - ids: in the order in which their transactions were given.
///   - client: to a node that follows the chain.
///   - limit: how long to wait for each before giving up.
/// - Returns: how the transactions of all of them came out.
/// - Throws: ``NotSettled`` when the time is over; otherwise what the node answers.
package func awaitSettlement(
    of ids: [Digest], via client: RequestClient, limit: Duration
) async throws -> SettledOutcomes {
    var (applied, index, height) = (0, 0, Height.genesis)
    var rejected: [(index: Int, rejection: Rejection?)] = []
    for id in ids {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: limit)
        var status = try await client.status(of: id)
        while status.stage != "settled" {
            guard clock.now < deadline else {
                throw NotSettled(envelope: id, stage: status.stage)
            }
            try await Task.sleep(for: .milliseconds(50))
            status = try await client.status(of: id)
        }
        height = max(height, Height(status.height))
        for outcome in status.outcomes {
            if outcome == 0 {
                applied += 1
            } else {
                rejected.append((index, Rejection(rawValue: outcome)))
            }
            index += 1
        }
    }
    return SettledOutcomes(applied: applied, rejected: rejected, height: height)
}

/// An envelope that was not settled in time; it may still be.
package struct NotSettled: Error, CustomStringConvertible {
    package let envelope: Digest
    package let stage: String

    package var description: String {
        "envelope \(envelope) is \(stage), not settled yet. It is not lost: too few voters may be "
            + "up. See `tally status`, and run the same command again later"
    }
}
