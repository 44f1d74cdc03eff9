import Cryptography
import Ledger
import Wire

/// What one process asks another; the meanings are those of `peer.proto`.
enum Request {
    case nextBlock(height: Height, hash: Digest)
    case block(Digest)
    case vote([UInt8])
    case submit([UInt8])
    case nextSequence(AccountID)
    case exchange(WireExchange)
    case blob(Digest)

    var name: String {
        switch self {
        case .nextBlock(let height, _): "next block after \(height)"
        case .block(let hash): "block \(hash.short)"
        case .vote: "vote"
        case .submit: "submit"
        case .nextSequence: "next sequence"
        case .exchange: "exchange"
        case .blob: "blob"
        }
    }
}

enum Response {
    case block(WireBlockResponse)
    case receipt(WireReceipt)
    case nextSequence(WireNextSequence)
    case exchange(WireExchange)
    case done
    case failure(code: String, message: String)

    var name: String {
        switch self {
        case .block(let answer): answer.block.isEmpty ? "no block" : "block"
        case .receipt: "receipt"
        case .nextSequence(let next): "sequence \(next.sequence)"
        case .exchange: "exchange"
        case .done: "done"
        case .failure(let code, _): "failure \(code)"
        }
    }
}

/// A message on its way.
struct Parcel {
    enum Content {
        case request(Request)
        case response(Response)
        /// Something was proposed; it may be lost.
        case hint
    }

    let from: AccountID
    let to: AccountID
    /// Of the request, also in its response.
    let id: UInt64
    let content: Content

    var name: String {
        switch content {
        case .request(let request): request.name
        case .response(let response): response.name
        case .hint: "hint"
        }
    }
}

/// Why a request got no answer that can be used.
enum Unanswered: Error {
    case timedOut
    case refused(code: String)
    case unexpected
}

extension Digest {
    /// Enough of it for a trace.
    var short: String { String(hex.prefix(8)) }
}
