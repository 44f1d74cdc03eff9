/// What stands before the body of a request or an answer.
///
/// Request: `request id (8 bytes, big-endian) | body`. Answer: `request id | status | body`.
/// A ROUTER adds the routing id in front, on its own side alone.
enum Status: UInt8 {
    case ok = 0
    /// The account has as many requests in hand as the server takes; the body is empty.
    case busy = 1
    /// The answer did not fit into a message; the body is empty.
    case answerTooLarge = 2
    /// The account was a member when it connected, and is no more; the body is empty.
    case noMember = 3
}

/// A request as a ROUTER hands it over.
package struct RequestFrames: Hashable, Sendable {
    package let routingID: [UInt8]
    package let requestID: [UInt8]
    package let body: [UInt8]

    /// Nil when the frames, for whose number and lengths nobody vouches, are no request of ours.
    package init?(_ frames: [[UInt8]]) {
        guard frames.count == 3, Messaging.requestID(frames[1]) != nil else { return nil }
        routingID = frames[0]
        requestID = frames[1]
        body = frames[2]
    }
}

/// An answer as a DEALER hands it over.
package struct AnswerFrames: Hashable, Sendable {
    package let requestID: UInt64
    let status: Status
    package let body: [UInt8]

    /// Nil when the frames, for whose number and lengths nobody vouches, are no answer of ours.
    package init?(_ frames: [[UInt8]]) {
        guard frames.count == 3, let id = Messaging.requestID(frames[0]), frames[1].count == 1,
            let status = Status(rawValue: frames[1][0])
        else { return nil }
        requestID = id
        self.status = status
        body = frames[2]
    }

    /// The frames again, without a routing id.
    package var frames: [[UInt8]] { [requestIDBytes(requestID), [status.rawValue], body] }
}

func requestIDBytes(_ id: UInt64) -> [UInt8] {
    withUnsafeBytes(of: id.bigEndian) { Array($0) }
}

/// - Returns: nil unless there are exactly 8 bytes.
func requestID(_ bytes: [UInt8]) -> UInt64? {
    bytes.count == 8 ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : nil
}
