import Foundation
import Ledger
import Messaging
import Node
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
        let site = try site(of: home)
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
            throw wayOut(of: error, site.account, home)
        }
    }

    /// What to do about a site that was not reached: it may have other keys, or another address.
    private static func wayOut(
        of error: any Error, _ site: AccountID, _ home: Home
    ) -> any Error {
        guard case MessagingError.timedOut(_, _, let link) = error, link != .connected else {
            return error
        }
        return CommandFault(
            "\(error). If \(site) has new keys or another address, ask its people for its new member "
                + "document and run `tally network join \(home.genesis) --site-member FILE "
                + "--home \(home.path)`")
    }

    /// The site that a home asks: by its own document when the home has one, else as the genesis
    /// document has it.
    ///
    /// A document is believed for the connection alone: what the site answers is proven, or is not,
    /// from the genesis document as before.
    static func site(of home: Home) throws -> Member {
        if home.exists(home.siteDocument) {
            let bytes = try home.read(home.siteDocument, remedy: "join the network again")
            do {
                return try Member(strictly: bytes)
            } catch { throw CommandFault("\(home.siteDocument): \(error)") }
        }
        let bytes = try home.read(
            home.siteFile,
            remedy: "join a network with `tally network join GENESIS --site ACCOUNT`")
        let text = String(decoding: bytes, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        guard let account = AccountID(text),
            let site = try home.genesisDocument().members.first(where: { $0.account == account })
        else {
            throw CommandFault(
                "\(home.siteFile) names \"\(text)\", which founded no part of this network; run "
                    + "`tally network join \(home.genesis) --site ACCOUNT`, or with --site-member "
                    + "FILE for a site that came later")
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

    /// A balance whose height and newest posting were checked against the genesis document of this
    /// home; the sums stay the site's word.
    func balance(of account: AccountID) async throws -> BalanceReport {
        let answer = try await answer(.balance, [account.text])
        return try checked(
            Node.report(BalanceReport.self, json: [UInt8](answer.json)),
            proof: [UInt8](answer.proof), posting: [UInt8](answer.posting), account: account,
            genesis: genesis, site: site.account)
    }

    /// Whether asking again may help; a key that was refused stays refused.
    private func isPassing(_ error: MessagingError) -> Bool {
        switch error {
        case .timedOut(_, _, link: .refused): false
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
