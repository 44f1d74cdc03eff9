package import Ledger
package import Node
import Wire

/// Checks what a site sends with a balance, and says what is proven of it and what is not.
///
/// Proven is that the balance's height is settled by the founders' voters, or those who followed
/// them, and that the posting stands at or below it. That no newer posting is left out, and what
/// all of them come to, is not: the sums are the site's word, and the report says so.
///
/// - Parameters:
///   - balance: as the site tells it.
///   - proof: of the block at its settled height.
///   - posting: of the account's newest posting; empty when the site says that it has none.
///   - account: whose balance was asked for.
///   - genesis: all that is trusted.
///   - site: that answered.
/// - Returns: the balance with what was proved.
/// - Throws: a sentence that says what does not hold.
package func checked(
    _ balance: BalanceReport, proof: [UInt8], posting: [UInt8], account: AccountID,
    genesis: Genesis, site: AccountID
) throws -> BalanceReport {
    var balance = balance
    // What it says of itself is not proven.
    balance.provenHeight = nil
    balance.provenTransaction = nil
    balance.provenPostingHeight = nil
    guard balance.account == account.text else {
        throw CommandFault("\(site) sent the balance of another account than \(account)")
    }
    guard !proof.isEmpty else {
        guard balance.settledHeight == 0, posting.isEmpty else {
            throw CommandFault(
                "\(site) sent a balance without a proof; ask another site, and tell its people")
        }
        balance.proof = "nothing is proven, no block is settled yet; the sums are \(site)'s word"
        return balance
    }
    do throws(ProofFault) {
        let settled = try SettlementProof(strictly: proof).check(genesis: genesis)
        guard settled.slot.height.value == balance.settledHeight else {
            throw .badPart(
                "settled height",
                "block \(settled.slot.height) is proven, and \(balance.settledHeight) claimed")
        }
        balance.provenHeight = settled.slot.height.value
        guard !posting.isEmpty else {
            balance.proof =
                "settled height proven, no posting shown; the sums are \(site)'s word"
            return balance
        }
        let posted = try postingBlock(posting, of: account, genesis: genesis)
        guard posted.slot.height <= settled.slot.height else {
            throw .badPart("posting", "it stands above the settled height")
        }
        balance.provenPostingHeight = posted.slot.height.value
        balance.provenTransaction = posted.transaction?.id.description
        balance.proof =
            "settled height proven, newest posting shown is proven at height "
            + "\(posted.slot.height); the sums are \(site)'s word"
        return balance
    } catch {
        throw CommandFault(
            "\(site) sent a balance whose proof does not hold: \(error). Do not trust it; ask "
                + "another site, and tell its people")
    }
}

/// The settled block that moves money to or from an account.
private func postingBlock(
    _ proof: [UInt8], of account: AccountID, genesis: Genesis
) throws(ProofFault) -> SettledBlock {
    let block = try SettlementProof(strictly: proof).check(genesis: genesis)
    let postings = block.transaction?.effect.postings ?? []
    guard postings.contains(where: { [$0.debit, $0.credit].contains(account.text) }) else {
        throw .badTransaction("it posts nothing to or from \(account)")
    }
    return block
}
