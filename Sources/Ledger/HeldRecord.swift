/// A record as its hospital prepared it, with the patient it belongs to; never on the ledger.
package struct HeldRecord: Hashable, Sendable {
    package let item: ItemID
    package let pseudonym: [UInt8]
    /// Canonical record bytes.
    package let content: [UInt8]
    package let isTraining: Bool

    package init(item: ItemID, pseudonym: [UInt8], content: [UInt8], isTraining: Bool) {
        self.item = item
        self.pseudonym = pseudonym
        self.content = content
        self.isTraining = isTraining
    }
}
