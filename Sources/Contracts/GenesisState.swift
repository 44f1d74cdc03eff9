package import Ledger
import Cryptography
import Wire

/// The contract state that a genesis document founds: its members and the supply in the reserve.
package func genesisState(_ genesis: Genesis) throws(GenesisFault) -> StateChanges {
    var changes = ChangeSet(above: DictionaryState())
    for member in genesis.members {
        do throws(Rejection) {
            try changes.register(member, organisation: member.account, height: .genesis)
        } catch { throw .keyUsedTwice(member.account) }
    }
    var reserve = WireBalanceState()
    reserve.available = genesis.agreement.rewards.supplyMicrotokens
    changes.set(.balances, Array(ConsortiumAccount.reserve.text.utf8), to: reserve)
    var supply = WireSupplyState()
    supply.issued = genesis.agreement.rewards.supplyMicrotokens
    changes.set(.supply, [], to: supply)
    _ = changes.commit()
    return changes.changes
}

/// The account of a patient's pseudonym.
package func patientAccount(_ pseudonym: [UInt8]) -> AccountID {
    AccountID(.patient, hexString(pseudonym))
}
