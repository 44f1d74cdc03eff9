import Foundation

// The JSON of `tally`, as far as the tests read it.

extension Decodable {
    package init(json: String) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(json.utf8))
    }
}

package struct StatusReport: Decodable, Sendable {
    package struct Items: Decodable, Hashable, Sendable {
        package let open: Int
        package let approved: Int
        package let disputed: Int
        package let tooFew: Int
    }

    package let settledHeight: UInt64
    package let settledHash: String
    package let transactions: Int
    package let items: Items
    package let running: Bool?
}

package struct RoundsReport: Decodable, Sendable {
    package struct Answer: Decodable, Sendable {
        package let site: String
        package let answer: String
        package let verified: Int
    }

    package struct Round: Decodable, Sendable {
        package let round: Int
        package let model: String
        package let closedHeight: UInt64
        package let complete: Bool
        package let auc: Double?
        package let rollCall: [Answer]
    }

    package let run: Int
    package let state: String
    package let opened: Int
    package let closed: Int
    package let model: String
    package let rounds: [Round]
}

package struct VerifyReport: Decodable, Sendable {
    package let sound: Bool
    package let height: UInt64
    package let transactions: Int
}

package struct ReplayReport: Decodable, Sendable {
    package struct Round: Decodable, Sendable {
        package let round: Int
        package let identical: Bool?
        package let model: String?
    }

    package let identical: Bool?
    package let rounds: [Round]
}

package struct SupplyReport: Decodable, Sendable {
    package let issued: String
    package let held: String
    package let balanced: Bool
    package let founded: String
    package let revenue: String
    package let redeemed: String

    /// What was founded is there, unless something came in or left.
    package var isWhole: Bool {
        balanced && issued == held && founded == "1000000.000000"
            && (issued == founded || revenue != "0.000000" || redeemed != "0.000000")
    }
}

package struct BalanceReport: Decodable, Sendable {
    package let account: String
    package let available: String
    package let escrow: String
    package let proof: String
}

package struct ConsentReport: Decodable, Sendable {
    package struct Interval: Decodable, Sendable {
        package let inForce: Bool
    }

    package struct Use: Decodable, Sendable {
        package let round: Int
        package let records: Int
    }

    package let patient: String
    package let intervals: [Interval]
    package let rounds: [Use]
}

package struct LineageReport: Decodable, Sendable {
    package struct Update: Decodable, Sendable {
        package let site: String
        package let manifest: String
    }

    package struct Step: Decodable, Sendable {
        package let model: String
    }

    package let updates: [Update]
    package let ancestors: [Step]
}

package struct WorklistReport: Decodable, Sendable {
    package struct Item: Decodable, Sendable {
        package let item: String
        package let state: String
    }

    package let items: [Item]
}

package struct AnnotateReport: Decodable, Sendable {
    package struct Row: Decodable, Sendable {
        package let row: String
    }

    package let account: String
    package let answers: Int
    package let committed: Int
    package let revealed: Int
    package let done: Int
    package let missed: Int
    package let rejected: [Row]
}

package struct WriteReport: Decodable, Sendable {
    package let sent: Int
    package let applied: Int
    package let settledHeight: UInt64
    package let envelopes: [String]
}

package struct ExportReport: Decodable, Sendable {
    package struct Model: Decodable, Sendable {
        package let file: String
        package let model: String
    }

    package let models: [Model]
}

package struct MembersReport: Decodable, Sendable {
    package struct Entry: Decodable, Sendable {
        package let account: String
        package let endpoint: String
    }

    package let members: [Entry]
}

package struct ExplainReport: Decodable, Sendable {
    package struct Reader: Decodable, Sendable {
        package let annotator: String
        package let value: String?
        package let wave: Int
        package let senior: Bool
    }

    package struct Dispute: Decodable, Sendable {
        package let by: String
        package let outcome: String
        package let earlier: String?
    }

    package let outcome: String
    package let value: String?
    package let reason: String
    package let gold: String?
    package let readers: [Reader]
    package let dispute: Dispute?
}

package struct ScoreReport: Decodable, Sendable {
    package struct Period: Decodable, Sendable {
        package let answers: Int
        package let rows: Int
    }

    package let periods: [Period]
}
