import ArgumentParser
import Ledger
import Node
import Wire

extension Tally {
    struct Consent: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Record patients' consent, as the site that keeps it for them.",
            subcommands: [Grant.self, Withdraw.self, Show.self])
    }
}

extension Home {
    /// Refuses a home that keeps no patients.
    func requireSite(for action: String) throws {
        try requireNode(for: action)
        let account = try member().account
        guard account.role == .site else {
            throw CommandFault(
                "\(path) is the home of \(account); \(action) is done in a site's home")
        }
    }
}

/// Puts consents on the ledger and says what became of them.
func sendConsents(
    _ rows: [ConsentRow], home: Home, until: UInt64, wait: Bool, isGrant: Bool
) async throws -> WriteReport {
    try await LocalNode.connected(to: home) { node in
        if !isGrant { try await checkKnown(rows, node) }
        let ids = try await node.write(
            rows.map { (place: $0.place, row: $0) }, size: { $0.patient.utf8.count + 64 }
        ) { rows in
            let consents = rows.map { row in
                var consent = WirePatientConsent()
                consent.patient = row.patient
                consent.purposes = row.purposes
                consent.waiveReward = row.waivesReward
                return consent
            }
            var request = WireRequest()
            if isGrant {
                request.consent.grants = consents
                request.consent.notAfterHeight = until
            } else {
                request.consent.withdrawals = consents
            }
            return request
        }
        return try await writeReport(
            of: ids, places: rows.map(\.place), wait: wait, via: node.client)
    }
}

/// Only a patient of this site can withdraw; the first row of another is named.
private func checkKnown(_ rows: [ConsentRow], _ node: LocalNode) async throws {
    for row in rows {
        do {
            _ = try await node.pseudonym(of: row.patient)
        } catch let failure as RemoteFailure {
            throw InputFault(
                file: row.place, line: nil,
                reason: "\(failure.message), \(row.patient); nothing was sent")
        }
    }
}
