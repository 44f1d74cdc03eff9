import Contracts
import Cryptography
package import Ledger
package import Wire

/// A commitment to gold on the settled chain that was not shown yet.
package struct AwaitedGold: Hashable, Sendable {
    package let height: UInt64
    /// The period that is open now, in which it can be shown.
    package let period: UInt32
}

/// A true answer that was shown and does not count, and why.
package struct PassedOverGold: Codable, Hashable, Sendable {
    package let item: String
    package let reason: String
}

extension Reporter {
    /// What is known of a commitment that awaits its answers; nil when there is none.
    package func awaitedGold(_ commitment: [UInt8]) throws -> AwaitedGold? {
        try read { view in
            view.state.value(WireGoldState.self, .gold, commitment).map {
                AwaitedGold(height: $0.height, period: view.state.openPeriod().number)
            }
        }
    }

    /// The heights of an organisation's commitments that await their answers, ascending.
    package func awaitedGold(of organisation: AccountID) throws -> [UInt64] {
        try read { view in
            view.all(WireGoldState.self, .gold).map(\.value)
                .filter { $0.organisation == organisation.text }.map(\.height).sorted()
        }
    }

    /// Those of some items whose records are registered already, in order.
    package func registered(_ items: [String]) throws -> [String] {
        try read { view in
            items.filter { view.state.bytes(.records, Array($0.utf8)) != nil }
        }
    }

    /// The first item that has just this true answer already.
    package func shownGold(_ answers: [WireGoldAnswer]) throws -> String? {
        try read { view in
            answers.first { answer in
                ItemID(answer.item).flatMap { view.state.item($0) }?.gold == answer.answer
            }?.item
        }
    }

    /// The answers of a commitment that count for nothing, once it was shown.
    ///
    /// - Parameters:
    ///   - answers: as they were shown.
    ///   - awaited: the commitment as it was before.
    ///   - organisation: that made it.
    /// - Returns: each with its reason, in order; all others count.
    /// - Throws: when the ledger cannot be read.
    package func passedOver(
        _ answers: [WireGoldAnswer], _ awaited: AwaitedGold, of organisation: AccountID
    ) throws -> [PassedOverGold] {
        try read { view in
            answers.compactMap { answer in
                view.whyUncounted(answer, awaited, of: organisation).map {
                    PassedOverGold(item: answer.item, reason: $0)
                }
            }
        }
    }
}

extension ReportView {
    /// Why a true answer that was shown does not count; nil when it does.
    fileprivate mutating func whyUncounted(
        _ answer: WireGoldAnswer, _ awaited: AwaitedGold, of organisation: AccountID
    ) -> String? {
        guard
            let record = state.value(WireRecordState.self, .records, Array(answer.item.utf8))
        else { return "no such item is registered" }
        guard let item = ItemID(answer.item).flatMap({ state.item($0) }) else {
            return "a duplicate of another record, which has no item of its own"
        }
        if item.gold == answer.answer {
            return item.isApproved
                ? nil : "its item ended without a label (\(outcomeName(item.outcome)))"
        }
        guard record.registeredHeight >= awaited.height else {
            return "registered at height \(record.registeredHeight), before the commitment at "
                + "\(awaited.height)"
        }
        for text in item.everyReader {
            let reader = AccountID(text).flatMap { state.member($0) }
            guard reader?.organisation == organisation.text else { continue }
            return "read by \(text), who is of \(organisation)"
        }
        guard item.period == awaited.period else {
            return "of period \(item.period), and the answers were shown in \(awaited.period)"
        }
        return "the period closed without its gold: another commitment was never shown"
    }
}
