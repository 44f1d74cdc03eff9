import Commands
import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// What `tally gold` makes of a file of true answers.
struct GoldFileTests {
    private static func grades(_ grades: [UInt32]) -> [Answer] { grades.map { .grade($0) } }

    @Test("few true answers, or those of one class, are refused with a reason")
    func doubts() {
        let mixed = Self.grades((0..<10).map { 1 + $0 % 2 })
        for kind in [AnswerKind.class, .ordinal] {
            #expect(goldDoubt(mixed, kind: kind) == nil)
            #expect(
                goldDoubt(Array(mixed.dropLast()), kind: kind)?.contains("fewer than 10") == true)
            let same = Self.grades([UInt32](repeating: 2, count: 40))
            #expect(goldDoubt(same, kind: kind)?.contains("one class only") == true)
        }
        let lengths = [Answer](repeating: .measurement(5), count: 10)
        #expect(goldDoubt(lengths, kind: .measurement) == nil)
        #expect(goldDoubt(Array(lengths.dropLast()), kind: .measurement) != nil)
    }

    @Test("what was committed to under a key of before opens under the new ones")
    func rotatedKeys() throws {
        let network = try Genesis(strictly: testGenesis(drawnAgreement())).network
        let keys = try ["old", "new"].map { try SigningKey(seed: named($0)) }
        var answer = WireGoldAnswer()
        answer.item = "east/1"
        answer.answer = data(Answer.grade(4).bytes)
        func openings(_ keys: [SigningKey]) -> [GoldOpening] {
            goldOpenings(
                of: [answer], network: network, organisation: Consortium.coordinator, keys: keys)
        }
        let before = openings([keys[0]])
        let after = openings([keys[1], keys[0]])
        #expect(after.count == 2 && after[0] != before[0] && after[1] == before[0])
        for opening in after {
            #expect(
                goldCommitment(
                    network: network, organisation: Consortium.coordinator, answers: [answer],
                    salt: opening.salt
                ).bytes == opening.commitment)
        }
    }
}
