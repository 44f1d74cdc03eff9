import Contracts
import Ledger
import TestSupport
import Testing
import Wire

struct GenesisStateTests {
    @Test("the founding state holds the members, their keys and the supply, nothing else")
    func foundingState() throws {
        let consortium = try Consortium(enrolling: false)
        let state = consortium.state
        #expect(Set(state.entries.map(\.key.table)) == [.members, .keys, .balances, .supply])
        #expect(state.entries(in: .members, prefix: [], limit: .max).count == 6)
        #expect(state.entries(in: .keys, prefix: [], limit: .max).count == 16)
        #expect(
            consortium.balance(ConsortiumAccount.reserve)
                == consortium.agreement.rewards.supplyMicrotokens)
        for voter in Consortium.voters {
            let member = try #require(consortium.read { $0.member(voter) })
            #expect(member.organisation == voter.text && member.enrolledHeight == 0)
            #expect(member.document.account == voter.text)
        }
        #expect(consortium.audit().isEmpty)
    }

    @Test("block 1 enrols readers at their sites, each with a stake from the reserve")
    func enrolment() throws {
        let consortium = try Consortium()
        for site in Consortium.sites {
            for reader in Consortium.readers(of: site) {
                let member = try #require(consortium.read { $0.member(reader) })
                #expect(member.organisation == site.text && member.enrolledHeight == 1)
                #expect(consortium.balance(ConsortiumAccount.stake(of: reader)) == 10_000_000)
            }
        }
        #expect(
            consortium.read { $0.member(Consortium.developer) }?.organisation
                == Consortium.developer.text)
        #expect(
            consortium.balance(ConsortiumAccount.reserve) == 1_000_000_000_000 - 12 * 10_000_000)
        #expect(consortium.audit().isEmpty)
    }
}
