import Contracts
import Ledger
import TestSupport
import Testing

/// A value of the vectors of `Protocols/annotation_model.py`: a number, or a list of such.
indirect enum VectorValue: Decodable, Sendable {
    case number(Int64)
    case list([VectorValue])
    case nothing

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .nothing
        } else if let number = try? container.decode(Int64.self) {
            self = .number(number)
        } else {
            self = .list(try container.decode([VectorValue].self))
        }
    }

    var numbers: [Int64] {
        switch self {
        case .number(let value): [value]
        case .list(let list): list.flatMap(\.numbers)
        case .nothing: []
        }
    }

    var entries: [VectorValue] {
        if case .list(let list) = self { return list }
        return []
    }

    func measurement() throws -> Int64 { try #require(numbers.first) }

    private func size() throws -> ImageSize {
        let sides = numbers.prefix(2).map { UInt32($0) }
        return try #require(ImageSize(width: sides[0], height: sides[1]))
    }

    /// `[width, height, runs]`.
    func mask() throws -> RunMask {
        try #require(RunMask(size: size(), runs: entries[2].numbers.map { UInt32($0) }))
    }

    /// `[width, height, boxes]`, a box as class, left, top, right, bottom.
    func boxes() throws -> BoxSet {
        let boxes = entries[2].entries.map { box in
            let fields = box.numbers.map { UInt32($0) }
            return Box(
                label: fields[0], left: fields[1], top: fields[2], right: fields[3],
                bottom: fields[4])
        }
        return try #require(BoxSet(size: size(), boxes: boxes))
    }
}

/// The reference's vectors for measurements, boxes and masks.
struct AnswerVectors: Decodable {
    struct Result: Decodable {
        let answers: UInt64
        let n: UInt64
        let agreed: UInt64
        let chance: UInt64
        let points: Int64?
        let fee: UInt64?
        let weight: UInt64?
        let shortfall: UInt64?
    }
    struct Outcome: Decodable {
        let name: String
        let label: VectorValue

        init(from decoder: any Decoder) throws {
            var list = try decoder.unkeyedContainer()
            name = try list.decode(String.self)
            label = try list.decode(VectorValue.self)
        }
    }
    /// What seniors ruled, and what it makes of pay and of one round's money.
    struct Reversal: Decodable {
        /// Whether the vectors' gold was shown.
        let gold: Bool
        /// How many of the items there were.
        let items: Int
        /// Of every reader, when the round closed.
        let stake: UInt64
        let before: [String: Result]
        /// When they ruled before the close.
        let open: [String: Result]
        /// When they ruled after it.
        let after: [String: Result]
        /// What moves to a rated reader, its penalty, and that after the rulings.
        let money: [String: [Int64]]
    }
    struct Case: Decodable {
        let kind: String
        let name: String
        let items: [[VectorValue]]
        let gold: [VectorValue]
        let outcomes: [Outcome]
        let results: [String: [String: Result]]
        /// Item and label.
        let rulings: [VectorValue]
        /// The items without consensus before the rulings.
        let late: [Int]
        /// The annotators', of one round.
        let share: UInt64
        let reversals: [Reversal]
    }
    let cases: [Case]

    static func item(_ number: Int) throws -> ItemID {
        // Numbers in the order of the names.
        try itemID("east/n\(String(repeating: "0", count: number < 10 ? 1 : 0))\(number)")
    }

    static func reader(_ number: Int64) -> AccountID { AccountID(.annotator, "r-\(number)") }
}
