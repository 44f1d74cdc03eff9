import Ledger
import TestSupport
import Wire

extension ReportLedger {
    /// Two of north, and one of west who answers the contrary two times of three.
    static let drawnReaders = ["north-1", "north-2", "west-1"].map { AccountID(.annotator, $0) }

    /// The ledger of a study whose items are read by readers of other sites; one of them is worse
    /// than chance and loses stake.
    ///
    /// There are as many readers and seniors as are asked, so that whoever is drawn is the same.
    static func drawnStudy() throws -> ReportLedger {
        var agreement = drawnAgreement()
        agreement.annotation.waves = [3]
        agreement.annotation.goldOrganisation = ""
        agreement.annotation.goldWindow = 0
        agreement.rewards.appealWindow = 40
        let ledger = try ReportLedger(agreement)
        try ledger.block(
            [Consortium.north, Consortium.west].map { site in
                let own = drawnReaders.filter { $0.name.hasPrefix(site.name) }
                return (
                    site,
                    try own.map { try .enrol(memberDocument($0), as: ["reader"]) }
                        + Consortium.seniors(of: site).prefix(1).map {
                            try .enrol(memberDocument($0), as: ["senior"])
                        }
                )
            })
        try ledger.readDrawn(try (101...132).map { try itemID("east/\($0)") })
        try ledger.train()
        return ledger
    }

    private func readDrawn(_ items: [ItemID]) throws {
        let study = consortium
        try block([
            (
                Consortium.east,
                items.flatMap { [.grant(named("patient of \($0)")), study.drawnRecord($0)] }
            )
        ])
        try block()
        try block([
            (Consortium.east, items.map { .openSeed($0.text, study.secret(of: $0)) })
        ])
        func grade(_ place: Int, _ seat: Int) -> UInt32 {
            let right: UInt32 = place.isMultiple(of: 2) ? 2 : 4
            return seat == 2 && !place.isMultiple(of: 3) ? 6 - right : right
        }
        func answers(
            _ make: (ItemID, UInt32, AccountID) throws -> WireTransaction
        ) throws -> [(by: AccountID, [WireTransaction])] {
            try Self.drawnReaders.enumerated().map { seat, reader in
                (
                    reader,
                    try items.enumerated().map {
                        try make($0.element, grade($0.offset, seat), reader)
                    }
                )
            }
        }
        try block(try answers { try study.commit($0, $1, by: $2) })
        try block(
            try answers { try study.reveal($0, $1, by: $2) }
                + [(Consortium.coordinator, items.map { .closeItem($0.text) })])
    }

    /// Four blocks: a reader disputes an item, and two seniors say 5 instead.
    func reverse(_ item: String) throws {
        let item = try itemID(item)
        try block([(Self.drawnReaders[0], [.dispute(item.text, "too low")])])
        let seniors = consortium.asked(item)
        try block(try seniors.map { ($0, [try consortium.commit(item, 5, by: $0)]) })
        try block(try seniors.map { ($0, [try consortium.reveal(item, 5, by: $0)]) })
        try block([(Consortium.coordinator, [.closeItem(item.text)])])
    }
}
