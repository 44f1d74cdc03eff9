package import Ledger
package import Storage
package struct Reporter: Sendable {
    package init(store: LedgerStore) {}
    package func answer(report: String, arguments: [String], asker: AccountID?) throws -> [UInt8] {
        []
    }
}
