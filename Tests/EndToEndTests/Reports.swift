import Foundation

// The JSON of `tally`, as far as the tests read it.

extension Decodable {
    init(json: String) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(json.utf8))
    }
}

struct StatusReport: Decodable, Sendable {
    struct Items: Decodable, Hashable, Sendable {
        let open: Int
        let approved: Int
        let disputed: Int
        let tooFew: Int
    }

    let settledHeight: UInt64
    let settledHash: String
    let transactions: Int
    let items: Items
    let running: Bool?
}

struct RoundsReport: Decodable, Sendable {
    struct Answer: Decodable, Sendable {
        let site: String
        let answer: String
        let verified: Int
    }

    struct Round: Decodable, Sendable {
        let round: Int
        let model: String
        let closedHeight: UInt64
        let complete: Bool
        let auc: Double?
        let rollCall: [Answer]
    }

    let state: String
    let opened: Int
    let closed: Int
    let model: String
    let rounds: [Round]
}

struct VerifyReport: Decodable, Sendable {
    let sound: Bool
    let height: UInt64
    let transactions: Int
}

struct ReplayReport: Decodable, Sendable {
    struct Round: Decodable, Sendable {
        let round: Int
        let identical: Bool?
        let model: String?
    }

    let identical: Bool?
    let rounds: [Round]
}

struct SupplyReport: Decodable, Sendable {
    let issued: String
    let held: String
    let balanced: Bool
}

struct BalanceReport: Decodable, Sendable {
    let account: String
    let available: String
}

struct ConsentReport: Decodable, Sendable {
    struct Interval: Decodable, Sendable {
        let inForce: Bool
    }

    struct Use: Decodable, Sendable {
        let round: Int
        let records: Int
    }

    let patient: String
    let intervals: [Interval]
    let rounds: [Use]
}

struct LineageReport: Decodable, Sendable {
    struct Update: Decodable, Sendable {
        let site: String
        let manifest: String
    }

    let updates: [Update]
}

struct WorklistReport: Decodable, Sendable {
    struct Item: Decodable, Sendable {
        let item: String
        let state: String
    }

    let items: [Item]
}

struct AnnotateReport: Decodable, Sendable {
    struct Row: Decodable, Sendable {
        let row: String
    }

    let account: String
    let answers: Int
    let committed: Int
    let revealed: Int
    let done: Int
    let missed: Int
    let rejected: [Row]
}

struct WriteReport: Decodable, Sendable {
    let sent: Int
    let applied: Int
    let settledHeight: UInt64
    let envelopes: [String]
}

struct ExportReport: Decodable, Sendable {
    struct Model: Decodable, Sendable {
        let file: String
        let model: String
    }

    let models: [Model]
}

struct MembersReport: Decodable, Sendable {
    struct Entry: Decodable, Sendable {
        let account: String
        let endpoint: String
    }

    let members: [Entry]
}
