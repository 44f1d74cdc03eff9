import Contracts
import Cryptography
import Ledger
import Storage
import Wire

package struct ItemCounts: Codable, Sendable {
    package let open: UInt32
    package let approved: UInt32
    package let disputed: UInt32
    package let tooFew: UInt32
}

package struct RunSummary: Codable, Sendable {
    package let run: UInt32
    package let state: String
    package let planned: UInt32
    package let closed: UInt32
}

/// How a ledger began whose history is not complete.
package struct PartialHistory: Codable, Sendable {
    /// Of the settled checkpoint whose state it took from a peer.
    package let snapshotHeight: UInt64
    /// Blocks from the first on that are still to be fetched.
    package let missingBlocks: UInt64
}

/// Where a node's ledger stands.
package struct StatusReport: Codable, Sendable {
    package let network: String
    package let study: String
    package let coordinator: String
    package let voters: [String]
    package let quorum: Int
    package let term: UInt64
    package let settledHeight: UInt64
    package let settledHash: String
    /// Of the newest settled block.
    package let time: String
    package let transactions: UInt64
    /// While the history is not complete; null once it is.
    @OrNull package var partial: PartialHistory?
    /// Members by role.
    package let members: [String: Int]
    package let openPeriod: UInt32
    package let items: ItemCounts
    @OrNull package var run: RunSummary?
    /// Whose home it is, and whether its worker runs; of a node's own home.
    @OrNull package var account: String?
    @OrNull package var running: Bool?
    /// The height at which this home's member left the network; null while it is one.
    @OrNull package var left: UInt64?
    /// What a running worker knows above the settled block.
    @OrNull package var orderedHeight: UInt64?
    @OrNull package var certifiedHeight: UInt64?
    /// Envelopes that this coordinator accepted and has not ordered yet.
    @OrNull package var acceptedEnvelopes: UInt64?
}

package struct MemberEntry: Codable, Sendable {
    package let account: String
    package let organisation: String
    /// What the organisation vouched for, of a reader; ascending.
    package let credentials: [String]
    package let endpoint: String
    package let enrolledHeight: UInt64
    /// From which its keys are void; null while they are in force.
    @OrNull package var endedHeight: UInt64?
    package let signingKey: String
    package let transportKey: String
    package let votes: Bool
}

package struct MembersReport: Codable, Sendable {
    package let members: [MemberEntry]
    package let settledHeight: UInt64
}

package struct RecordEntry: Codable, Sendable {
    package let item: String
    package let site: String
    package let patient: String
    /// `training` or `evaluation`.
    package let use: String
    package let duplicate: Bool
    /// Of the item: `open`, `approved`, `disputed`, `tooFew`, or `duplicate`, which has none.
    package let outcome: String
    @OrNull package var grade: UInt32?
    package let registeredHeight: UInt64
}

/// All records that sites have registered.
package struct DataReport: Codable, Sendable {
    package let records: [RecordEntry]
    package let items: ItemCounts
    package let duplicates: Int
    /// Items whose site has not opened its secret, so that no panel was drawn.
    package let withheldSecrets: [WithheldSecrets]
    package let settledHeight: UInt64

    /// The same with some records alone; the counts stay those of all.
    package func limited(to belongs: (RecordEntry) -> Bool) -> Self {
        Self(
            records: records.filter(belongs), items: items, duplicates: duplicates,
            withheldSecrets: withheldSecrets, settledHeight: settledHeight)
    }
}

extension Reporter {
    package func status() throws -> StatusReport {
        let genesis = store.genesis
        return try read(isStrict: false) { view in
            var roles: [String: Int] = [:]
            for (_, member) in view.all(WireMemberState.self, .members) {
                roles[AccountID(member.document.account)?.kind ?? "unknown", default: 0] += 1
            }
            let run = view.state.run(view.state.newestRun())
            let rules = view.tip.terms.newest
            return StatusReport(
                network: genesis.network.description, study: view.agreement.study,
                coordinator: rules.coordinator.text,
                voters: rules.voters.accounts.map(\.text), quorum: rules.voters.quorum,
                term: view.tip.slot.term.value, settledHeight: view.height,
                settledHash: view.tip.hash.hex,
                time: timeText(milliseconds: view.tip.timeMilliseconds),
                transactions: view.tip.log.size,
                partial: try store.snapshot().map {
                    PartialHistory(
                        snapshotHeight: $0.height.value,
                        missingBlocks: try store.missingHistory()?.height.value ?? 0)
                },
                members: roles,
                openPeriod: view.state.openPeriod().number, items: view.itemCounts(),
                run: run.map {
                    RunSummary(
                        run: $0.number, state: stateName($0), planned: $0.rounds,
                        closed: $0.closed)
                }, account: nil, running: nil, orderedHeight: nil, certifiedHeight: nil,
                acceptedEnvelopes: nil)
        }
    }

    package func members() throws -> MembersReport {
        try read(isStrict: false) { view in
            let members = view.all(WireMemberState.self, .members).map { _, state in
                MemberEntry(
                    account: state.document.account, organisation: state.organisation,
                    credentials: state.credentials, endpoint: state.document.endpoint,
                    enrolledHeight: state.enrolledHeight,
                    endedHeight: state.endedHeight > 0 ? state.endedHeight : nil,
                    signingKey: hexString(state.document.signingKey),
                    transportKey: hexString(state.document.transportKey),
                    votes: !state.document.voteKey.isEmpty)
            }
            return MembersReport(members: members, settledHeight: view.height)
        }
    }

    package func data() throws -> DataReport {
        try read(isStrict: false) { view in
            let records = view.all(WireRecordState.self, .records)
            let items = Dictionary(
                view.all(WireItemState.self, .items).map { ($0.key, $0.value) },
                uniquingKeysWith: { first, _ in first })
            let entries = records.map { key, record in
                let item = items[key]
                return RecordEntry(
                    item: String(decoding: key, as: UTF8.self), site: record.site,
                    patient: hexString(record.patient), use: useName(record.use),
                    duplicate: record.duplicate,
                    outcome: item.map { outcomeName($0.outcome) } ?? "duplicate",
                    grade: item?.isApproved == true ? item?.labelGrade : nil,
                    registeredHeight: record.registeredHeight)
            }
            return DataReport(
                records: entries, items: view.itemCounts(),
                duplicates: entries.count { $0.duplicate },
                withheldSecrets: withheldSecrets(items), settledHeight: view.height)
        }
    }
}

extension Reporter {
    /// Content tags in hex, by item, of all registered records; duplicates included.
    package func contentTags() throws -> [String: String] {
        try read(isStrict: false) { view in
            Dictionary(
                view.all(WireRecordState.self, .records).map { key, record in
                    (String(decoding: key, as: UTF8.self), hexString(record.contentTag))
                }, uniquingKeysWith: { first, _ in first })
        }
    }
}

/// How many secrets of items' panels a site has not opened in time, or can open no more.
package struct WithheldSecrets: Codable, Sendable {
    package let site: String
    package let items: Int
}

private func withheldSecrets(_ items: [[UInt8]: WireItemState]) -> [WithheldSecrets] {
    var counts: [String: Int] = [:]
    for (key, item) in items where item.secretOverdue || item.isSecretLost {
        guard let item = ItemID(String(decoding: key, as: UTF8.self)) else { continue }
        counts[item.site, default: 0] += 1
    }
    return counts.sorted { $0.key < $1.key }.map {
        WithheldSecrets(site: "site/\($0.key)", items: $0.value)
    }
}

func stateName(_ run: WireRunState) -> String {
    if run.finished { return "finished" }
    if run.stopped { return "stopped" }
    return run.referenceRoot.isEmpty ? "preparing" : "running"
}

private func useName(_ use: WireRecordUse) -> String {
    switch use {
    case .training: "training"
    case .evaluation: "evaluation"
    case .unspecified, .UNRECOGNIZED: "unknown"
    }
}

extension ReportView {
    /// The items' outcomes, as the periods count them.
    mutating func itemCounts() -> ItemCounts {
        let open = state.openPeriod()
        var (approved, disputed, tooFew) = (UInt32(0), UInt32(0), UInt32(0))
        for (_, period) in all(WirePeriodState.self, .periods) {
            approved += period.approved
            disputed += period.disputed
            tooFew += period.tooFew
        }
        return ItemCounts(
            open: open.items - min(open.items, open.decided), approved: approved,
            disputed: disputed, tooFew: tooFew)
    }
}
