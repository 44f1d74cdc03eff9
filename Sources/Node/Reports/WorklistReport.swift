import Contracts
import Cryptography
package import Ledger
package import Wire

/// One item of a reader, and what is to be done about it.
package struct WorklistItem: Codable, Sendable {
    /// What the reader owes to an item.
    package enum State: String, Codable, CaseIterable, Sendable {
        /// An answer is awaited.
        case commit
        /// Committed; reveals open when the others have committed or their window is over.
        case wait
        /// Committed, and the reveal is awaited.
        case reveal
        /// Revealed.
        case done
        /// A window passed without this reader.
        case missed
        /// Revealed, and the item has its outcome.
        case closed
    }

    package let item: String
    package let state: State
    /// Last height for what is awaited; null when nothing is.
    @OrNull package var until: UInt64?
    /// The reader's commitment, for a program that checks an answer against it.
    @OrNull package var commitment: String?
    /// Of the image in pixels; null where answers are not about pixels.
    @OrNull package var width: UInt32?
    @OrNull package var height: UInt32?
    /// `reader`, or `senior` for who adjudicates.
    package var role = "reader"
    /// The wave in which the reader was asked, the first is 1.
    package var wave: UInt32 = 1
}

/// What a reader has to read, until when.
package struct WorklistReport: Codable, Sendable {
    /// Items an answer; a longer list goes on with ``next``.
    package static let pageLength = 5_000

    package let account: String
    package let items: [WorklistItem]
    /// Ask again for what comes after this item; null at the end.
    @OrNull package var next: String?
    /// The agreement's `AnnotationRule` in force, its bytes in hex: a reader's home has no ledger,
    /// and what a file's classes mean may have been voted on since the founding.
    package let rule: String
    package let settledHeight: UInt64

    /// The same with other items, as one whole list.
    package func listing(_ items: [WorklistItem]) -> Self {
        Self(account: account, items: items, next: nil, rule: rule, settledHeight: settledHeight)
    }

    /// - Returns: nil when the bytes are no rule.
    package func annotationRule() -> WireAnnotationRule? {
        bytes(fromHex: rule).flatMap { try? WireAnnotationRule(strictly: $0) }
    }
}

extension Reporter {
    package func worklist(of account: AccountID, after: ItemID? = nil) throws -> WorklistReport {
        guard account.role == .annotator else {
            throw ReportError.badArgument(
                report: .worklist, reason: "\(account) is no annotator; only annotators read items")
        }
        return try read(isStrict: false) { view in
            guard let member = view.state.member(account) else {
                throw ReportError.notFound(
                    "\(account) is not enrolled at height \(view.height); its site runs "
                        + "`tally member add` first")
            }
            // An own panel is of the item's site, and an item's name starts with its site.
            let site = AccountID(member.organisation)?.name ?? ""
            let isOwn = view.agreement.annotation.isOwnSite
            let prefix = isOwn ? Array("\(site)/".utf8) : []
            var items: [WorklistItem] = []
            var next: String?
            for (key, state) in view.all(WireItemState.self, .items, prefix: prefix) {
                let name = String(decoding: key, as: UTF8.self)
                if let after, !after.text.utf8.lexicographicallyPrecedes(key) { continue }
                guard state.everyReader.contains(account.text) else { continue }
                guard items.count < WorklistReport.pageLength else {
                    next = items.last?.item
                    break
                }
                items.append(worklistItem(name, state, of: account, at: view.height))
            }
            return WorklistReport(
                account: account.text, items: items, next: next,
                rule: hexString(view.agreement.annotation.encoded()), settledHeight: view.height)
        }
    }
}

/// What a reader owes to an item in the block after a height.
func worklistItem(
    _ name: String, _ state: WireItemState, of account: AccountID, at height: UInt64
) -> WorklistItem {
    let next = height + 1
    let answer = state.answers.first { $0.annotator == account.text }
    let asked = state.later.lastIndex { $0.readers.contains(account.text) }.map { $0 + 1 } ?? 0
    let isPresent = asked == state.later.count
    let opens = state.revealFrom != 0 ? state.revealFrom : state.commitUntil + 1
    let what: WorklistItem.State
    var until: UInt64?
    if !state.isUnderWay {
        // Who was asked and has shown nothing missed it, and may have lost the stake.
        what = (answer?.grade ?? 0) > 0 ? .closed : .missed
    } else if let answer {
        if answer.grade > 0 {
            what = .done
        } else if isPresent, next < opens {
            (what, until) = (.wait, state.commitUntil)
        } else if isPresent, next <= state.revealUntil {
            (what, until) = (.reveal, state.revealUntil)
        } else {
            what = .missed
        }
    } else if isPresent, state.revealFrom == 0, next <= state.commitUntil {
        (what, until) = (.commit, state.commitUntil)
    } else {
        what = .missed
    }
    var entry = WorklistItem(
        item: name, state: what, until: until,
        commitment: answer.map { hexString($0.commitment) }, width: state.size?.width,
        height: state.size?.height)
    entry.role = asked > 0 && state.later[asked - 1].seniors ? "senior" : "reader"
    entry.wave = UInt32(clamping: asked + 1)
    return entry
}
