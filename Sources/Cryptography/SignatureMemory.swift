import Synchronization

/// Remembers which signatures are good, for one task and what it calls.
///
/// A simulated consortium is many voters in one process; each would check the same signature anew,
/// and that is nearly all it would do. Whether a signature is good depends on key, signature and
/// message alone, so what is remembered is what a check would say. No service uses it.
package final class SignatureMemory: Sendable {
    @TaskLocal static var current: SignatureMemory?

    private let known = Mutex<[Digest: Bool]>([:])

    private init() {}

    /// Runs something with a memory of its own.
    package static func remembering<Result>(_ body: () throws -> Result) rethrows -> Result {
        try $current.withValue(SignatureMemory()) { try body() }
    }

    func isGood(
        _ key: VerifyingKey, _ signature: Signature, _ message: [UInt8], check: () -> Bool
    ) -> Bool {
        let place = Digest.sha256(of: [key.bytes, signature.bytes, message])
        if let answer = known.withLock({ $0[place] }) { return answer }
        let answer = check()
        known.withLock { $0[place] = answer }
        return answer
    }
}
