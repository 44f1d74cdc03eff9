import Cryptography
import Foundation
import Ledger
import Logging
import ServiceLifecycle
import Storage

/// Reads the whole ledger file and every blob once after a start, and finds what changed on the disk.
///
/// A damaged ledger stops the node, which repairs it and starts anew; a damaged blob is deleted and
/// fetched again.
struct ScrubService: Service {
    let node: RunningNode
    /// Told of a damaged ledger.
    let damage: Failure

    func run() async throws {
        let scrubber = Scrubber(node.core.genesis, path: node.home.ledger)
        await cancelWhenGracefulShutdown {
            await withTaskCancellationHandler {
                if let fault = await scrubber.ledgerFault(), !Task.isCancelled {
                    damage.raise(fault)
                }
                await checkBlobs()
            } onCancel: {
                scrubber.file.interrupt()
            }
        }
        // A service that ends would end the others with it.
        try? await gracefulShutdown()
    }

    private func checkBlobs() async {
        let reader = BlobReader(node.blobs)
        let writer = BlobWriter(node.blobs)
        do {
            for digest in try await reader.all() where !Task.isCancelled {
                do { try await reader.check(digest) } catch BlobError.damaged {
                    node.logger.error(
                        "a blob is damaged; fetching it again", metadata: ["blob": "\(digest)"])
                    try await writer.discardDamaged(digest)
                    await node.worker.lookAgain()
                } catch BlobError.missing {}
            }
        } catch {
            node.logger.error("blobs cannot be checked", metadata: ["reason": "\(error)"])
        }
    }
}

/// Looks through a ledger file beside the worker, for half of the time at most.
private actor Scrubber {
    private static let turn = Duration.milliseconds(20)

    private let executor = QueueExecutor(label: "tally.scrub")
    private let scrub: LedgerScrub
    nonisolated let file: SalvagedLedger

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ genesis: Genesis, path: String) {
        file = SalvagedLedger(path: path, network: genesis.network)
        scrub = LedgerScrub(genesis: genesis, file: file)
    }

    func ledgerFault() -> DamagedLedger? {
        defer { file.close() }
        var began = ContinuousClock.now
        do throws(DamagedLedger) {
            try scrub.checkAll {
                if ContinuousClock.now - began > Self.turn {
                    Thread.sleep(forTimeInterval: 0.02)
                    began = .now
                }
                return !Task.isCancelled
            }
        } catch { return error }
        return nil
    }
}
