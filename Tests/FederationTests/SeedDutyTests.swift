import Contracts
import Federation
import Ledger
import TestSupport
import Testing

@Suite("A site's duty to open its secrets")
struct SeedDutyTests {
    @Test("from the settled block on that keeps the beacon, by the registering site, once")
    func due() throws {
        var consortium = try Consortium.drawn()
        let items = try ["east/1", "east/2"].map { try itemID($0) }
        try consortium.registerDrawn(items, by: Consortium.east)
        let rules = TermHistory(genesis: consortium.genesis).newest
        func owed(_ account: AccountID, at height: UInt64) throws -> [Duty] {
            try duties(of: account, in: consortium.state, at: Height(height), rules: rules)
        }
        #expect(try owed(Consortium.east, at: 2).isEmpty)
        #expect(try owed(Consortium.east, at: 3).isEmpty, "the beacon is not settled")
        #expect(try owed(Consortium.east, at: 4) == [.openSeeds(registered: 2)])
        #expect(try owed(Consortium.north, at: 4).isEmpty)
        #expect(try owed(Consortium.coordinator, at: 4).isEmpty)
        try consortium.applied(
            [.openSeed("east/1", consortium.secret(of: items[0]))], by: Consortium.east, at: 4)
        #expect(try owed(Consortium.east, at: 5) == [.openSeeds(registered: 2)])
        try consortium.applied(
            [.closeItem("east/2")], by: Consortium.coordinator, at: 9)
        #expect(try owed(Consortium.east, at: 10) == [.openSeeds(registered: 2)], "overdue")
        try consortium.applied(
            [.openSeed("east/2", consortium.secret(of: items[1]))], by: Consortium.east, at: 30)
        #expect(try owed(Consortium.east, at: 31).isEmpty)
    }
}
