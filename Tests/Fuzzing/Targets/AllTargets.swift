import Ledger
import TestSupport

extension FuzzTarget {
    /// Every parser of bytes that come from outside.
    ///
    /// A new one joins this list, and `Tests/FuzzHunt/parsers.json` says which functions are its.
    package static func all() throws -> [Self] {
        let world = try FuzzWorld.shared.get()
        return try [
            envelope(world), transaction(), header(world), block(world), certificate(world),
            member(), genesis(world), receipt(world), proof(world), evidence(world),
            decision(world), opening(world), statement(world), request(world), frames(world),
            snapshotChunk(world), manifest(), agreement(), safetensors(), table(), labels(),
            answers(),
        ]
    }
}
