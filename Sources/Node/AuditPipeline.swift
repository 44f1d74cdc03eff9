import Cryptography
import Foundation
import Ledger
import Replay

/// Prepares stored blocks on every core and executes them one after the other.
///
/// Decoding and signatures need no state, so they run ahead of the execution; a bounded number of
/// blocks is under way. The threads are its own: a walk of the chain takes minutes.
final class AuditPipeline: @unchecked Sendable {
    // `condition` guards everything but `audit`, which belongs to whoever set `isExecuting`, and to
    // the caller once the threads are gone.
    private let condition = NSCondition()
    private let network: NetworkID
    private var audit: ChainAudit
    private var isExecuting = false
    private var keys: [AccountID: VerifyingKey]

    private var stored: [Int: (block: StoredBlock, terms: TermPlace)] = [:]
    private var prepared: [Int: PreparedBlock] = [:]
    private var audited: [Int: AuditedBlock] = [:]
    private var submitted = 0
    private var preparing = 0
    private var executed = 0
    private var taken = 0
    private var isClosed = false
    private var running = 0

    init(genesis: Genesis) {
        network = genesis.network
        audit = ChainAudit(genesis: genesis)
        keys = Dictionary(
            genesis.members.map { ($0.account, $0.signingKey) },
            uniquingKeysWith: { first, _ in first })
        running = max(1, ProcessInfo.processInfo.activeProcessorCount)
        for _ in 0..<running {
            let thread = Thread { [self] in work() }
            thread.stackSize = 8 << 20
            thread.start()
        }
    }

    /// Blocks handed in and not yet taken.
    var underWay: Int { condition.withLock { submitted - taken } }

    /// Hands in the next block and where it stands among the terms.
    func submit(_ block: StoredBlock, at terms: TermPlace) {
        condition.withLock {
            stored[submitted] = (block, terms)
            submitted += 1
            condition.broadcast()
        }
    }

    /// The oldest block under way, once it is executed; nil when none is.
    func next() -> AuditedBlock? {
        condition.withLock {
            guard taken < submitted else { return nil }
            while audited[taken] == nil { condition.wait() }
            defer { taken += 1 }
            return audited.removeValue(forKey: taken)
        }
    }

    /// Ends the threads; every block must have been taken.
    ///
    /// - Returns: the audit, and the signing keys of all members.
    func finish() -> (audit: ChainAudit, keys: [AccountID: VerifyingKey]) {
        condition.withLock {
            isClosed = true
            condition.broadcast()
            while running > 0 { condition.wait() }
            return (audit, keys)
        }
    }

    private func work() {
        condition.lock()
        while !(isClosed && executed == submitted) {
            if !isExecuting, let block = prepared.removeValue(forKey: executed) {
                isExecuting = true
                condition.unlock()
                let result = audit.advance(block)
                condition.lock()
                isExecuting = false
                audited[executed] = result
                executed += 1
                condition.broadcast()
            } else if let next = stored.removeValue(forKey: preparing) {
                let (number, keys) = (preparing, keys)
                preparing += 1
                condition.unlock()
                let result = Replay.prepared(
                    next.block, at: next.terms, network: network
                ) { keys[$0] }
                condition.lock()
                self.keys.merge(result.enrolled) { known, _ in known }
                self.keys.merge(result.renewed) { _, new in new }
                prepared[number] = result
                condition.broadcast()
            } else {
                condition.wait()
            }
        }
        running -= 1
        condition.broadcast()
        condition.unlock()
    }
}

/// Work on a thread of its own.
final class BackgroundWork<Value: Sendable>: @unchecked Sendable {
    // `condition` guards the value.
    private let condition = NSCondition()
    private var value: Value?

    init(_ body: @escaping @Sendable () -> Value) {
        let thread = Thread { [self] in
            let result = body()
            condition.withLock {
                value = result
                condition.broadcast()
            }
        }
        thread.stackSize = 8 << 20
        thread.start()
    }

    func join() -> Value {
        condition.withLock {
            while true {
                if let value { return value }
                condition.wait()
            }
        }
    }
}
