import Contracts
import Cryptography
import Ledger
import Wire

/// Signs one member's transactions in order and hands them in, as the service's submitter does.
struct Submitter {
    enum Step {
        case ask(Request)
        /// It was promised; who holds the receipt may rely on it.
        case accepted(Envelope, WireReceipt)
        /// Given up; nothing was promised.
        case dropped(String)
        case idle
    }

    private struct Current {
        let transactions: [WireTransaction]
        var envelope: Envelope?
        var attempts = 0
    }

    static let validity: UInt64 = 10_000

    let account: AccountID
    let key: SigningKey
    private var queue: [[WireTransaction]] = []
    private var current: Current?
    private var lastSequence: UInt64 = 0

    init(account: AccountID, key: SigningKey) {
        self.account = account
        self.key = key
    }

    var isBusy: Bool { current != nil || !queue.isEmpty }
    /// The envelope that is on its way, whether or not anybody has it.
    var envelope: Envelope? { current?.envelope }

    mutating func add(_ transactions: [WireTransaction]) { queue.append(transactions) }

    mutating func giveUp() {
        queue = []
        current = nil
    }

    /// Begins with the next transactions when nothing is under way.
    mutating func next() -> Step {
        guard current == nil, !queue.isEmpty else { return .idle }
        current = Current(transactions: queue.removeFirst())
        return .ask(.nextSequence(account))
    }

    mutating func handle(
        _ answer: Result<Response, Unanswered>, network: NetworkID
    ) throws -> Step {
        guard var current else { return .idle }
        switch answer {
        case .success(.nextSequence(let next)):
            let sequence = max(next.sequence, Contracts.nextSequence(after: lastSequence))
            let envelope = try Envelope(
                strictly: signedEnvelope(
                    current.transactions, signer: account, sequence: sequence,
                    notAfter: Height(next.settledHeight).advanced(by: Self.validity),
                    network: network, key: key), network: network)
            current.envelope = envelope
            self.current = current
            return .ask(.submit(envelope.bytes))
        case .success(.receipt(let receipt)):
            guard let envelope = current.envelope else { return .idle }
            lastSequence = envelope.header.sequence
            self.current = nil
            return .accepted(envelope, receipt)
        case .failure(.refused(let code)):
            if code == "sequenceUsed", let envelope = current.envelope, current.attempts < 5 {
                lastSequence = envelope.header.sequence
                current.attempts += 1
                self.current = current
                return .ask(.nextSequence(account))
            }
            if code == "blobMissing", let envelope = current.envelope, current.attempts < 5 {
                current.attempts += 1
                self.current = current
                return .ask(.submit(envelope.bytes))
            }
            self.current = nil
            return .dropped(code)
        case .failure(.timedOut):
            // It may have arrived: the same envelope again gets the first receipt.
            if let envelope = current.envelope, current.attempts == 0 {
                current.attempts += 1
                self.current = current
                return .ask(.submit(envelope.bytes))
            }
            if let envelope = current.envelope { lastSequence = envelope.header.sequence }
            self.current = nil
            return .dropped("timed out")
        default:
            self.current = nil
            return .dropped("unexpected answer")
        }
    }
}
