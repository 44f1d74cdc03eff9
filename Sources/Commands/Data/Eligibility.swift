import Contracts
package import Ledger
package import Node
package import Wire

/// How many can be asked about a record that a site registers now, where panels are drawn.
package struct Eligible: Hashable, Sendable {
    package let readers: Int
    package let seniors: Int

    /// Counts them as the contract draws: by credential and organisation, of members whose keys are
    /// in force.
    package init(_ members: [MemberEntry], for site: AccountID, _ rule: WireAnnotationRule) {
        let free = members.filter { member in
            guard AccountID(member.account)?.role == .annotator, member.endedHeight == nil else {
                return false
            }
            let isOwn = member.organisation == site.text
            return rule.isOwnSite
                ? isOwn : !isOwn && member.organisation != rule.goldOrganisation
        }
        func count(_ credential: String) -> Int {
            credential.isEmpty ? 0 : free.count { $0.credentials.contains(credential) }
        }
        readers = count(rule.credential)
        seniors = count(rule.seniorCredential)
    }
}

/// Whether a drawn panel has somebody to ask, before records are registered.
///
/// Who is enrolled later is never asked about them, and the same content under another name opens
/// no item: a record registered too early is lost for the study.
///
/// - Parameters:
///   - rule: in force.
///   - site: that registers.
///   - members: of the settled chain.
/// - Returns: a line of warning when fewer can be asked than the first wave wants.
/// - Throws: ``CommandFault`` when nobody can be asked at all.
package func panelWarning(
    _ rule: WireAnnotationRule, for site: AccountID, among members: [MemberEntry]
) throws -> String? {
    guard rule.isDrawn else { return nil }
    let eligible = Eligible(members, for: site, rule)
    let wanted = Int(rule.waves.first ?? 0)
    guard eligible.readers < wanted else { return nil }
    let gold = rule.goldOrganisation == site.text ? "" : rule.goldOrganisation
    let who =
        rule.isOwnSite
        ? "of \(site)" : "of organisations other than \(site)\(gold.isEmpty ? "" : " and \(gold)")"
    let remedy =
        "enrol readers first with `tally member add --credential \(rule.credential)`: who is "
        + "enrolled later is not asked, and the same content under another name opens no item"
    // Two seniors can decide alone; one is not asked.
    guard eligible.readers > 0 || eligible.seniors >= 2 else {
        throw CommandFault(
            "nobody can be asked about these records: no reader \(who) is enrolled with the "
                + "credential \(rule.credential). Nothing was sent; \(remedy)")
    }
    return "warning: the first wave asks \(wanted) readers, and \(eligible.readers) \(who) "
        + "\(eligible.readers == 1 ? "is" : "are") enrolled with the credential "
        + "\(rule.credential); with fewer than \(rule.minimumAnswers) answers an item ends as too "
        + "few unless two seniors decide it. Better \(remedy)"
}

/// A reader must be enrolled by this site, with keys in force, before an item is opened for it.
///
/// - Parameters:
///   - rows: of the file.
///   - rule: in force; where it draws panels no row names readers.
///   - members: of the settled chain.
///   - site: that registers.
/// - Throws: ``InputFault`` for the first row that the chain would refuse.
package func checkReaders(
    _ rows: [RecordRow], _ rule: WireAnnotationRule, members: [MemberEntry], site: AccountID
) throws {
    let own = Dictionary(
        members.filter { $0.organisation == site.text }.map { ($0.account, $0) },
        uniquingKeysWith: { first, _ in first })
    for row in rows {
        for reader in row.readers {
            let reason: String
            if rule.isDrawn {
                reason = "readers are drawn in this study; leave the column readers empty"
            } else if let member = own[reader.text] {
                guard member.endedHeight != nil else { continue }
                reason = "\(reader) is revoked, or has left; name another reader"
            } else {
                reason =
                    "\(reader) is not enrolled by \(site); enrol it first with `tally member add`"
            }
            throw InputFault(file: row.place, line: nil, reason: reason)
        }
    }
}
