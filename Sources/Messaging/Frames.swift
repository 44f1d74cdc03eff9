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
}

func requestIDBytes(_ id: UInt64) -> [UInt8] {
    withUnsafeBytes(of: id.bigEndian) { Array($0) }
}

/// - Returns: nil unless there are exactly 8 bytes.
func requestID(_ bytes: [UInt8]) -> UInt64? {
    bytes.count == 8 ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : nil
}
