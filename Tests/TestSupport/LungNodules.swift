import Cryptography
import Foundation

/// One radiologist's reading of one nodule, as `readings.csv` has it.
package struct LungReading: Hashable, Sendable {
    /// 1 to 4: a seat, not a person.
    package let reader: Int
    package let diameter: Double
    package let volume: Double
    /// Subtlety, internal structure, calcification, sphericity, margin, lobulation, spiculation
    /// and texture.
    package let grades: [Int]
    /// 1 to 5.
    package let malignancy: Int
}

/// One nodule with all its readings, and where the partition of the study puts it.
package struct LungNodule: Hashable, Sendable {
    package let study: Int
    package let number: Int
    package let patient: String
    /// By digits 9 to 16 of SHA-256(patient): below 55 of 100 north, below 85 east, else west.
    package let hospital: String
    /// By digits 1 to 8: below 20 of 100.
    package let isHeldOut: Bool
    package let readings: [LungReading]

    package var malignancies: [Int] { readings.map(\.malignancy) }

    /// What the hospital prepares: eight grades − 3, then scaled logarithms of diameter and volume,
    /// each a lower median over the readings.
    package var features: [Float] {
        func median<Value: Comparable>(_ values: [Value]) -> Value {
            values.sorted()[(values.count - 1) / 2]
        }
        let grades = (0..<8).map { grade in Float(median(readings.map { $0.grades[grade] }) - 3) }
        let diameter = (log(median(readings.map(\.diameter))) - 2) / 0.5
        let volume = (log(median(readings.map(\.volume))) - 6) / 1.5
        return grades + [Float(diameter), Float(volume)]
    }
}

/// The table has a row that is not as its README says.
package struct MalformedTable: Error { let line: Int }

/// All nodules of `Simulations/LungNodules/readings.csv`, by study and number.
package func lungNodules() throws -> [LungNodule] {
    struct Key: Hashable { let study, number: Int }
    let text = try String(
        contentsOf: repositoryFile("Simulations/LungNodules/readings.csv"), encoding: .utf8)
    var readings: [Key: [LungReading]] = [:]
    var patients: [Key: String] = [:]
    for (line, row) in text.split(whereSeparator: \.isNewline).enumerated().dropFirst() {
        let fields = row.split(separator: ",", omittingEmptySubsequences: false)
        let numbers = fields.dropFirst().compactMap { Double($0) }
        guard fields.count == 15, numbers.count == 14 else { throw MalformedTable(line: line + 1) }
        let key = Key(study: Int(numbers[0]), number: Int(numbers[1]))
        patients[key] = String(fields[0])
        readings[key, default: []].append(
            LungReading(
                reader: Int(numbers[2]), diameter: numbers[3], volume: numbers[4],
                grades: numbers[5..<13].map { Int($0) }, malignancy: Int(numbers[13])))
    }
    return try readings.map { key, readings in
        let patient = patients[key, default: ""]
        let hash = Digest.sha256(Array(patient.utf8)).hex
        guard let held = UInt32(hash.prefix(8), radix: 16),
            let place = UInt32(hash.dropFirst(8).prefix(8), radix: 16)
        else { throw MalformedTable(line: 0) }
        let hospital = place % 100 < 55 ? "north" : place % 100 < 85 ? "east" : "west"
        return LungNodule(
            study: key.study, number: key.number, patient: patient, hospital: hospital,
            isHeldOut: held % 100 < 20, readings: readings.sorted { $0.reader < $1.reader })
    }.sorted { ($0.study, $0.number) < ($1.study, $1.number) }
}
