import Contracts
import Cryptography
import Storage
import Wire

// What the tests read in a home's ledger itself: a process for each look would take most of the time.

/// A run as a home's ledger has it.
struct KnownRun: Hashable {
    /// From 1; 0 before the first.
    let number: Int
    let isFinished: Bool

    /// How many runs are over.
    var finished: Int { isFinished ? number : number - 1 }
}

extension Deployment {
    /// Opens a node's ledger beside its worker, for a look.
    func reading<Value>(
        _ name: String, _ body: (LedgerStore) throws -> Value
    ) throws -> Value {
        let ledger = try LedgerStore.reading(at: "\(home(name))/ledger.sqlite")
        do {
            let value = try body(ledger)
            try ledger.close()
            return value
        } catch {
            try? ledger.close()
            throw error
        }
    }

    /// The newest run on a node's settled chain.
    func newestRun(in name: String) throws -> KnownRun {
        try reading(name) { ledger in
            var state = ChangeSet(above: SQLiteState(ledger))
            let number = state.newestRun()
            let isFinished = state.run(number)?.finished ?? true
            if let fault = state.fault { throw fault }
            return KnownRun(number: Int(number), isFinished: isFinished)
        }
    }

    /// Waits until acknowledged envelopes are settled and applied on every replica.
    ///
    /// - Throws: ``Unexpected`` for the first that is not; a lost one never comes.
    func expectSettled(_ envelopes: [Digest]) async throws {
        for name in Self.nodes {
            for envelope in envelopes {
                try await eventually("the acknowledged envelope \(envelope) is settled in \(name)")
                {
                    try self.reading(name) { try $0.outcomes(of: envelope)?.outcomes } == [0]
                }
            }
        }
    }
}
