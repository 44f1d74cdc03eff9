import Foundation
package import Ledger
import Messaging
package import Node
import Wire

/// A member's connection to the site that it asks, for homes without a ledger of their own.
struct SiteLink {
    let client: RequestClient
    let keys: KeyRing
    let genesis: Genesis
    let site: Member

    static func connected<Value>(
        from home: Home, _ body: (SiteLink) async throws -> Value
    ) async throws -> Value {
        let genesis = try home.genesisDocument()
        let site = try siteMember(of: home, genesis)
        let keys = try home.keyRing(passphrase: passphrase())
        let context = try MessagingContext(logger: socketLogger())
        do {
            let client = try RequestClient(
                context: context, endpoint: site.endpoint, serverKey: site.transportKey,
                key: keys.transport)
            let value = try await body(
                SiteLink(client: client, keys: keys, genesis: genesis, site: site))
            await client.close()
            await context.shutdown()
            return value
        } catch {
            await context.shutdown()
            throw error
        }
    }

    /// The site named in the home, as the genesis document has it.
    private static func siteMember(of home: Home, _ genesis: Genesis) throws -> Member {
        let bytes = try home.read(
            home.siteFile,
            remedy: "join a network with `tally network join GENESIS --site ACCOUNT`")
        let text = String(decoding: bytes, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        guard let account = AccountID(text),
            let site = genesis.members.first(where: { $0.account == account })
        else {
            throw CommandFault(
                "\(home.siteFile) names \"\(text)\", which founded no part of this network; write "
                    + "the account of a site into it")
        }
        guard !site.endpoint.isEmpty else {
            throw CommandFault(
                "\(account) does not listen for readers; name another site in \(home.siteFile)")
        }
        return site
    }

    /// Asks for a report, and again when no answer came: a site may be restarting.
    func report(
        _ name: ReportName, _ arguments: [String], attempts: Int = 1
    ) async throws -> [UInt8] {
        [UInt8](try await answer(name, arguments, attempts: attempts).json)
    }

    private func answer(
        _ name: ReportName, _ arguments: [String], attempts: Int = 1
    ) async throws -> WireReportResponse {
        var request = WireRequest()
        request.query.report = name.rawValue
        request.query.arguments = arguments
        var attempt = 1
        while true {
            do {
                guard case .report(let answer) = try await client.ask(request) else {
                    throw unexpectedAnswer(to: name.rawValue)
                }
                return answer
            } catch let error as MessagingError {
                guard attempt < attempts, isPassing(error) else { throw error }
                attempt += 1
            }
        }
    }

    /// A balance whose proof was checked against the genesis document of this home.
    func balance(of account: AccountID) async throws -> BalanceReport {
        let answer = try await answer(.balance, [account.text])
        return try checked(
            Node.report(BalanceReport.self, json: [UInt8](answer.json)),
            proof: [UInt8](answer.proof), account: account, genesis: genesis, site: site.account)
    }

    private func isPassing(_ error: MessagingError) -> Bool {
        switch error {
        case .timedOut, .busy: true
        default: false
        }
    }

    /// The rule of annotation in force, which a reader's home cannot know by itself.
    func annotationRule() async throws -> WireAnnotationRule {
        let page = try Node.report(
            WorklistReport.self, json: try await report(.worklist, [keys.account.text, ""]))
        guard let rule = page.annotationRule() else {
            throw CommandFault("the site sent no rule of annotation that this program reads")
        }
        return rule
    }

    /// The whole worklist of this member, item by item.
    ///
    /// Whoever annotates waits long for others anyway, so it bears a restart of the site.
    func worklist() async throws -> [String: WorklistItem] {
        let attempts = 6
        var items: [String: WorklistItem] = [:]
        var after = ""
        while true {
            let page = try Node.report(
                WorklistReport.self,
                json: try await report(
                    .worklist, [keys.account.text, after], attempts: attempts))
            for item in page.items { items[item.item] = item }
            guard let next = page.next else { return items }
            after = next
        }
    }
}

/// Checks the proof that a site sends with a balance.
///
/// It shows that the site's chain is settled by the founders' voters, or those who followed them,
/// and that the account's newest posting stands in it.
///
/// - Returns: the balance with what was proved.
/// - Throws: a sentence that says what does not hold.
package func checked(
    _ balance: BalanceReport, proof: [UInt8], account: AccountID, genesis: Genesis,
    site: AccountID
) throws -> BalanceReport {
    var balance = balance
    guard !proof.isEmpty else {
        guard balance.settledHeight == 0 else {
            throw CommandFault(
                "\(site) sent a balance without a proof; ask another site, and tell its people")
        }
        balance.proof = "nothing is settled yet"
        return balance
    }
    do throws(ProofFault) {
        let settled = try SettlementProof(strictly: proof).check(genesis: genesis)
        balance.proof = "checked"
        balance.provenHeight = settled.slot.height.value
        balance.provenTransaction = settled.transaction?.id.description
        guard let transaction = settled.transaction else { return balance }
        guard
            transaction.effect.postings.contains(where: {
                [$0.debit, $0.credit].contains(account.text)
            })
        else { throw .badTransaction("it posts nothing to or from \(account)") }
        return balance
    } catch {
        throw CommandFault(
            "\(site) sent a balance whose proof does not hold: \(error). Do not trust it; ask "
                + "another site, and tell its people")
    }
}
