import Foundation
import Replay
import Training

/// Coalitions' models of the two newest rounds, as files that may be lost: each can be recomputed.
struct CoalitionFiles: CoalitionModels {
    private struct Place: Hashable {
        let run: UInt32
        let round: UInt32
        let coalition: Int

        var name: String { "\(run).\(round).\(coalition).safetensors" }
    }

    private let folder: URL
    private var kept: Set<Place> = []

    /// Takes over a folder of this node alone; what it holds from earlier is deleted.
    init(folder: String) throws {
        self.folder = URL(fileURLWithPath: folder, isDirectory: true)
        if FileManager.default.fileExists(atPath: folder) {
            try FileManager.default.removeItem(at: self.folder)
        }
        try FileManager.default.createDirectory(
            at: self.folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
    }

    func model(of coalition: Int, run: UInt32, after round: UInt32) throws -> Parameters? {
        let place = Place(run: run, round: round, coalition: coalition)
        guard kept.contains(place) else { return nil }
        let bytes = try Data(contentsOf: folder.appendingPathComponent(place.name))
        return try Safetensors(decoding: [UInt8](bytes)).parameters
    }

    mutating func keep(
        _ model: Parameters, of coalition: Int, run: UInt32, after round: UInt32
    ) throws {
        let place = Place(run: run, round: round, coalition: coalition)
        try Data(Safetensors(model).encoded())
            .write(to: folder.appendingPathComponent(place.name))
        kept.insert(place)
        for old in kept where old.run != run || old.round + 1 < round {
            try FileManager.default.removeItem(at: folder.appendingPathComponent(old.name))
            kept.remove(old)
        }
    }
}
