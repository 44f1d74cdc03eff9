import Contracts
import Cryptography
package import Ledger
package import Node
package import Wire

/// Refuses credentials that the agreement in force does not ask for, unless the caller insists.
///
/// They cannot be changed on the chain: a reader with a misspelt one is never drawn.
///
/// - Parameters:
///   - credentials: of the command.
///   - rule: in force.
///   - isInsisting: a decision to come may ask for other ones.
/// - Throws: ``CommandFault`` with the credentials that the agreement knows.
package func checkCredentials(
    _ credentials: [String], _ rule: WireAnnotationRule, isInsisting: Bool = false
) throws {
    let known = rule.credentials
    guard !isInsisting, let unknown = credentials.first(where: { !known.contains($0) }) else {
        return
    }
    let knows =
        known.isEmpty
        ? "it draws no panels, and knows none"
        : "it knows \(known.joined(separator: " and "))"
    throw CommandFault(
        "the agreement asks for no credential \"\(printable(unknown))\"; \(knows). Nothing was "
            + "sent; for a decision to come say --anyway")
}

/// What to tell of readers that no drawn panel will ever ask, in one line.
package func neverAsked(
    _ readers: [AccountID], with credentials: [String], _ rule: WireAnnotationRule
) -> String? {
    guard rule.isDrawn, !readers.isEmpty, Set(credentials).isDisjoint(with: rule.credentials)
    else { return nil }
    let names = readers.map(\.text).joined(separator: ", ")
    return "note: no panel is drawn from \(names) without a credential "
        + "(\(rule.credentials.joined(separator: " or "))), and none can be added later"
}

/// Whether a member is enrolled already, just as it is to be.
///
/// - Parameters:
///   - member: to enrol.
///   - credentials: ascending; those of a reader.
///   - organisation: that enrols it.
///   - entry: of the account, when it is on the chain.
/// - Returns: whether nothing has to be sent for it.
/// - Throws: ``CommandFault`` for an account that is taken otherwise, with what to do.
package func isEnrolled(
    _ member: Member, as credentials: [String], by organisation: AccountID, _ entry: MemberEntry?
) throws -> Bool {
    guard let entry else { return false }
    let account = member.account
    let otherName =
        "make keys under another name with `tally key new`, and enrol those. Nothing was sent"
    if let height = entry.endedHeight {
        throw CommandFault(
            "\(account) was revoked, or left, at height \(height), and its name stays taken; "
                + otherName)
    }
    guard entry.organisation != account.text else {
        // A founder, or somebody a decision brought in; the chain says why other keys are refused.
        return entry.signingKey == member.signingKey.hex
    }
    guard entry.organisation == organisation.text else {
        throw CommandFault(
            "\(account) was enrolled by \(entry.organisation), to which it belongs; a member of "
                + "your own needs another name: " + otherName)
    }
    guard entry.signingKey == member.signingKey.hex else {
        throw CommandFault(
            "\(account) is enrolled with other keys, which it changes itself with `tally member "
                + "rekey`; for somebody else " + otherName)
    }
    guard account.role != .annotator || entry.credentials == credentials else {
        throw CommandFault(
            "\(account) is enrolled already, \(credentialsText(entry.credentials)), not "
                + "\(credentialsText(credentials)), and credentials never change; " + otherName)
    }
    return true
}

private func credentialsText(_ credentials: [String]) -> String {
    credentials.isEmpty
        ? "without a credential" : "with \(credentials.joined(separator: " and "))"
}

extension WireAnnotationRule {
    /// What organisations vouch for, of readers and of seniors; none where panels are listed.
    package var credentials: [String] {
        [credential, seniorCredential].filter { !$0.isEmpty }
    }
}
