import ArgumentParser

/// What items are like.
enum World: String, CaseIterable, ExpressibleByArgument {
    case rare = "90/10"
    case even = "50/50"
    case four = "four"

    /// How often each class is the true one, in percent.
    var prior: [Int] {
        switch self {
        case .rare: [90, 10]
        case .even: [50, 50]
        case .four: [40, 30, 20, 10]
        }
    }
}

/// How a reader comes to an answer.
enum Strategy: Hashable {
    /// Looks; is right so many times in a hundred, and else says any other class.
    case honest(Int)
    /// Always says the commonest class.
    case constant
    /// Says any class as often as it occurs, without looking.
    case prior
    /// Looks at every other item as an 85 % reader, says the commonest class of the rest.
    case half
    /// Sees what the others on the panel are about to say, and says what most of them say.
    case openCopier
    /// Commits again what another has committed, which nobody but that reader can open.
    case closedCopier
    /// Does not look; says what most have revealed when asked after them, any class before.
    case laterCopier
    /// Does not look; says what the ring has agreed on for this item.
    case ring
}

/// Who takes part.
struct Scenario: Hashable {
    let name: String
    /// Organisations and readers of each; 24 readers in all.
    let organisations: Int
    /// Those who deviate, by the reader's number; all others are honest.
    let deviators: [Int: Strategy]

    static let readers = 24

    var readersOfEach: Int { Self.readers / organisations }

    /// Three readers an organisation, of 75, 85 and 95 %.
    func strategy(of reader: Int) -> Strategy { deviators[reader] ?? .honest(75 + reader % 3 * 10) }

    static let all: [Self] =
        [Self(name: "honest", organisations: 8, deviators: [:])]
        + [
            ("constant", Strategy.constant), ("random from the prior", .prior),
            ("half effort", .half), ("copier, open ballots", .openCopier),
            ("copier, closed ballots", .closedCopier), ("copier after escalation", .laterCopier),
        ].map { Self(name: $0.0, organisations: 8, deviators: [1: $0.1]) }
        + [(25, 6), (40, 10), (60, 14)].flatMap { share, size in
            [
                Self(
                    name: "ring of \(share) %, spread", organisations: 8,
                    deviators: ring((0..<size).map { $0 % 8 * 3 + $0 / 8 })),
                Self(
                    name: "ring of \(share) %, whole houses", organisations: 8,
                    deviators: ring(Array(0..<size))),
                Self(
                    name: "ring of \(share) %, no houses", organisations: 24,
                    deviators: ring(Array(0..<size))),
            ]
        }

    private static func ring(_ readers: [Int]) -> [Int: Strategy] {
        Dictionary(uniqueKeysWithValues: readers.map { ($0, .ring) })
    }
}
