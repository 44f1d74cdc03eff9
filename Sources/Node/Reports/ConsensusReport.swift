package import Contracts
package import Ledger
import Wire

/// An item that has its consensus.
package struct ConsensusEntry: Sendable {
    package let item: ItemID
    package let answer: Answer
    package let size: ImageSize?

    package init(item: ItemID, answer: Answer, size: ImageSize?) {
        self.item = item
        self.answer = answer
        self.size = size
    }
}

extension Reporter {
    /// Every approved item with its consensus, items ascending.
    package func consensus() throws -> [ConsensusEntry] {
        try read(isStrict: false) { view in
            let kind = view.agreement.annotation.kind
            return view.all(WireItemState.self, .items).compactMap { key, state in
                guard let item = ItemID(String(decoding: key, as: UTF8.self)),
                    let answer = state.label(kind: kind)
                else { return nil }
                return ConsensusEntry(item: item, answer: answer, size: state.size)
            }
        }
    }
}
