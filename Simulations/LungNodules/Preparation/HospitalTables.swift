/// One nodule as its hospital registers it.
package struct Record: Hashable, Sendable {
    package let patient: String
    /// An opaque number; nothing in it comes from the patient's id.
    package let name: String
    package let use: Use
    package let features: Features
    /// The answers on malignancy by reader number.
    package let answers: [Int: Int]
}

/// What one hospital holds: its records, in the order of (patient, study, nodule).
package struct HospitalTables: Hashable, Sendable {
    package let hospital: Hospital
    package let records: [Record]

    /// Divides the readings among the hospitals.
    ///
    /// - Parameter readings: in any order; no reader has two of one nodule.
    /// - Returns: one for each hospital, also when it has no records: north, east, west.
    package static func divided(_ readings: [Reading]) -> [Self] {
        let nodules = Dictionary(grouping: readings, by: \.nodule)
        let placed = nodules.keys.sorted().map { ($0, Placement(patient: $0.patient)) }
        return Hospital.allCases.map { hospital in
            let own = placed.filter { $0.1.hospital == hospital }
            let width = max(4, String(own.count).count)
            let records = own.enumerated().compactMap { index, nodule -> Record? in
                let readings = nodules[nodule.0] ?? []
                guard let features = Features(of: readings) else { return nil }
                let number = String(index + 1)
                return Record(
                    patient: nodule.0.patient,
                    name: "n" + String(repeating: "0", count: width - number.count) + number,
                    use: nodule.1.use, features: features,
                    answers: Dictionary(
                        readings.map { ($0.reader, $0.malignancy) }, uniquingKeysWith: { $1 }))
            }
            return Self(hospital: hospital, records: records)
        }
    }

    /// The hospital's files by their path below the output folder.
    package var files: [String: String] {
        var files = [
            "\(hospital.rawValue)/records.csv": recordTable,
            "\(hospital.rawValue)/patients.csv": patientTable,
        ]
        for reader in 1...seatsPerHospital {
            files["\(hospital.rawValue)/readings/\(hospital.seat(reader)).csv"] =
                readingTable(of: reader)
        }
        return files
    }

    /// One line for people: what was prepared.
    package var summary: String {
        let training = records.count { $0.use == .training }
        let readings = records.reduce(0) { $0 + $1.answers.count }
        return "\(hospital.rawValue): \(patients.count) patients, \(records.count) nodules "
            + "(\(training) training, \(records.count - training) evaluation), "
            + "\(readings) readings"
    }

    package var patients: [String] { Set(records.map(\.patient)).sorted() }

    /// Everything that is registered; malignancy is not among it, because readers commit to it first.
    private var recordTable: String {
        let header = ["patient", "record", "use", "readers"] + Features.names
        return table(
            header,
            records.map { record in
                let readers = record.answers.keys.sorted().map { hospital.seat($0) }
                return [
                    record.patient, record.name, record.use.rawValue,
                    readers.joined(separator: " "),
                ] + record.features.values.map { decimal($0) }
            })
    }

    private var patientTable: String {
        table(
            ["patient", "purposes", "reward"],
            patients.map { [$0, "training evaluation", "earn"] })
    }

    private func readingTable(of reader: Int) -> String {
        table(
            ["item", "answer"],
            records.compactMap { record in
                record.answers[reader].map { ["\(hospital.rawValue)/\(record.name)", String($0)] }
            })
    }

    private func table(_ header: [String], _ rows: [[String]]) -> String {
        ([header] + rows).map { $0.joined(separator: ",") + "\n" }.joined()
    }
}
