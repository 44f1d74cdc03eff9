import Contracts
import Cryptography
import Ledger
import Storage
package import Wire

/// A word that a posting is wrong, and who gave it so far.
package struct CorrectionEntry: Codable, Sendable {
    /// The transaction that posted, and the posting's place in it.
    package let transaction: String
    package let posting: UInt32
    package let debit: String
    package let credit: String
    /// As it was posted.
    package let amount: String
    /// How much of it the word takes back.
    package let returned: String
    package let reason: String
    /// Voters who gave this very word.
    package let given: [String]
    /// How many more must give it.
    package let missing: Int
}

/// Corrections that await more equal words.
package struct CorrectionsReport: Codable, Sendable {
    package let corrections: [CorrectionEntry]
    /// Equal words that a correction needs.
    package let quorum: Int
    package let settledHeight: UInt64
}

/// How far a voter's word has come.
package enum CorrectionProgress: Hashable, Sendable {
    /// The amount was taken back.
    case done
    /// So many voters have given this word.
    case words(Int, of: Int)
}

extension Reporter {
    /// Corrections under way, by the posting that they take back.
    ///
    /// The state keeps a hash of each word; what it says is read from the envelopes that brought it.
    package func corrections() throws -> CorrectionsReport {
        try read(isStrict: false) { view in
            let voters = view.tip.terms.newest.voters
            var entries: [CorrectionEntry] = []
            for (key, state) in view.all(WireCorrectionState.self, .corrections) {
                guard !state.words.isEmpty, key.count == 40, let id = Digest(key.prefix(32)) else {
                    continue
                }
                let words = try view.words(about: id)
                for (hash, given) in state.given(by: voters) {
                    guard let word = words[hash] else { continue }
                    entries.append(
                        CorrectionEntry(
                            transaction: TransactionID(envelope: id, index: word.index).description,
                            posting: word.posting, debit: word.debit, credit: word.credit,
                            amount: TokenAmount(microtokens: word.microtokens).description,
                            returned: TokenAmount(microtokens: word.returned).description,
                            reason: word.reason, given: given,
                            missing: max(0, voters.quorum - given.count)))
                }
            }
            return CorrectionsReport(
                corrections: entries, quorum: voters.quorum, settledHeight: view.height)
        }
    }

    /// How far a word has come that was applied.
    package func progress(of word: WireCorrection) throws -> CorrectionProgress {
        try read { view in
            let voters = view.tip.terms.newest.voters
            let key = paymentKey([UInt8](word.envelope), word.index) + bigEndian(word.posting)
            let state = view.state.value(WireCorrectionState.self, .corrections, key)
            let hash = Digest.sha256(word.encoded())
            guard let given = state?.given(by: voters).first(where: { $0.hash == hash })?.voters
            else { return .done }
            return .words(given.count, of: voters.quorum)
        }
    }
}

extension WireCorrectionState {
    /// Who of the voters said the same, by the hash of what they said.
    fileprivate func given(by voters: VoterSet) -> [(hash: Digest, voters: [String])] {
        let valid = words.filter { word in
            AccountID(word.voter).map { voters.keys[$0] != nil } ?? false
        }
        return Dictionary(grouping: valid, by: \.hash)
            .compactMap { hash, words in
                Digest(hash).map { (hash: $0, voters: words.map(\.voter).sorted()) }
            }
            .sorted { $0.voters.lexicographicallyPrecedes($1.voters) }
    }
}

extension ReportView {
    /// Every word about postings of an envelope, by its hash.
    fileprivate func words(about envelope: Digest) throws -> [Digest: WireCorrection] {
        let height = try store.height(of: envelope) ?? .genesis
        var words: [Digest: WireCorrection] = [:]
        for envelope in try store.envelopes(holding: envelope.bytes, from: height) {
            for transaction in envelope.transactions {
                guard case .correction(let word)? = transaction.body else { continue }
                words[Digest.sha256(word.encoded())] = word
            }
        }
        return words
    }
}
