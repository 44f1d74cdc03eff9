import Contracts
import Cryptography
import Foundation
import Ledger
import Storage
package import Wire

/// A value before and after; nil where there is none.
package struct ValueChange: Codable, Hashable, Sendable {
    package let was: String?
    package let becomes: String?
}

/// What a decision makes of a member that its document names.
package struct MemberChange: Codable, Hashable, Sendable {
    package enum Kind: String, Codable, Sendable {
        /// Nobody of this account is a member now.
        case new
        /// Whoever holds the keys named here is the member from then on.
        case newKeys
        /// The document is the one that the chain lists.
        case unchanged
        /// Of a decision whose number was used: what it would have changed is past.
        case named
    }

    package let account: String
    package let kind: Kind
    /// Keys in hexadecimal, as `tally key show` and `tally key rotate` print them; nil where nothing
    /// changes.
    package let signingKey: ValueChange?
    package let voteKey: ValueChange?
    package let transportKey: ValueChange?
    package let endpoint: ValueChange?

    init(_ document: WireMemberDocument, listed: WireMemberDocument?, isPassed: Bool) {
        account = document.account
        let isSame = listed == document
        kind = isPassed ? .named : listed == nil ? .new : isSame ? .unchanged : .newKeys
        func change(_ value: (WireMemberDocument) -> String) -> ValueChange? {
            let texts = [listed.map(value), value(document)].map { $0?.isEmpty == true ? nil : $0 }
            guard !isPassed, texts[0] != texts[1] else { return nil }
            return ValueChange(was: texts[0], becomes: texts[1])
        }
        signingKey = change { hexString([UInt8]($0.signingKey)) }
        voteKey = change { hexString([UInt8]($0.voteKey)) }
        transportKey = change { hexString([UInt8]($0.transportKey)) }
        endpoint = change { $0.endpoint }
    }
}

/// A parameter of the agreement that a decision changes.
package struct ParameterChange: Codable, Hashable, Sendable {
    /// Its place, such as `chain.blockIntervalMs`.
    package let parameter: String
    package let was: String?
    package let becomes: String?
}

/// The parameters in which two agreements differ, by name.
///
/// Names and values are those of the message in JSON; one that stands at nothing is absent there.
///
/// - Throws: when the message has no JSON, which ours all have.
package func changes(
    from old: WireAgreement, to new: WireAgreement
) throws -> [ParameterChange] {
    let (before, after) = (try parameters(of: old), try parameters(of: new))
    return Set(before.keys).union(after.keys).sorted()
        .filter { before[$0] != after[$0] }
        .map { ParameterChange(parameter: $0, was: before[$0], becomes: after[$0]) }
}

private func parameters(of agreement: WireAgreement) throws -> [String: String] {
    let tree = try JSONDecoder().decode(ParameterTree.self, from: Data(agreement.json()))
    var found: [String: String] = [:]
    tree.collect(at: "", into: &found)
    return found
}

private enum ParameterTree: Decodable {
    case value(String)
    case list([ParameterTree])
    case group([String: ParameterTree])

    init(from decoder: any Decoder) throws {
        let content = try decoder.singleValueContainer()
        if let group = try? content.decode([String: ParameterTree].self) {
            self = .group(group)
        } else if let list = try? content.decode([ParameterTree].self) {
            self = .list(list)
        } else if let flag = try? content.decode(Bool.self) {
            self = .value("\(flag)")
        } else if let number = try? content.decode(Int64.self) {
            self = .value("\(number)")
        } else {
            // Whole numbers of 64 bits stand as text in this form of JSON.
            self = .value(try content.decode(String.self))
        }
    }

    func collect(at path: String, into found: inout [String: String]) {
        switch self {
        case .value(let text): found[path] = text
        case .list(let parts):
            for (index, part) in parts.enumerated() {
                part.collect(at: "\(path)[\(index + 1)]", into: &found)
            }
        case .group(let parts):
            for (name, part) in parts {
                part.collect(at: path.isEmpty ? name : "\(path).\(name)", into: &found)
            }
        }
    }
}

extension DecisionEntry {
    /// What a decision changes, against what a node's settled chain says.
    init(
        _ decision: Decision, ballots: [Ballot], needed: Int, state: State, in store: LedgerStore,
        rules: TermRules
    ) throws {
        let isPassed = state == .passed
        let members = try decision.members.map { member in
            MemberChange(
                member.document, listed: try store.listedMember(member.account), isPassed: isPassed)
        }
        self.init(
            decision: decision.hash.hex, term: decision.term.value,
            coordinator: decision.coordinator.text,
            presentCoordinator: rules.coordinator.text,
            voters: decision.voters.accounts.map(\.text),
            entering: members.filter { $0.kind == .new }.map(\.account), members: members,
            leaving: decision.leaving.map(\.text), changesAgreement: decision.agreement != nil,
            agreement: isPassed
                ? []
                : try decision.agreement.map { try changes(from: rules.agreement, to: $0) } ?? [],
            reason: decision.reason, ballots: ballots.map(\.voter.text), needed: needed,
            state: state)
    }
}
