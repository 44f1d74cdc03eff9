import Cryptography
import Foundation
import Ledger
import Logging
import Messaging
import ServiceLifecycle
import Wire

/// Keeps a file of every offence that this node knows of, and has the chain record it.
///
/// The file convicts by itself, so it also serves where the coordinator itself is the offender and
/// takes no such transaction.
struct EvidenceService: Service {
    /// Who learned of an offence from another leaves that one the time to hand it in.
    static let patience = Duration.seconds(10)
    static let retry = Duration.seconds(30)
    /// Files that are read at the start.
    static let files = 256

    let node: RunningNode

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            do { try await prosecute() } catch is CancellationError {}
        }
    }

    private func prosecute() async throws {
        let clock = ContinuousClock()
        var kept = try await takeFiles()
        var due: [Digest: ContinuousClock.Instant] = [:]
        while !Task.isCancelled {
            try await node.core.checkPromises()
            for known in try await node.core.offences() {
                if !kept.contains(known.id), keep(known) { kept.insert(known.id) }
                guard !known.isRecorded, !known.isClaimed, known.transaction != nil else {
                    continue
                }
                // An invalid block every voter must claim; else one that hands it in is enough.
                let isShared = known.wasShown && known.offence.kind != .invalidBlock
                let wait = isShared ? Self.patience : .zero
                let time = due[known.id] ?? clock.now + wait
                due[known.id] = time
                guard time <= clock.now else { continue }
                due[known.id] = clock.now + Self.retry
                try await handIn(known)
            }
            try await Task.sleep(for: ExchangeService.heartbeat)
        }
    }

    /// Reads the files of an earlier run; one that convicts nobody here is left alone.
    ///
    /// - Returns: the offences whose files stand.
    private func takeFiles() async throws -> Set<Digest> {
        let folder = node.home.evidence
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names.sorted().prefix(Self.files) where name.hasSuffix(".tally") {
            do {
                let bytes = try node.home.read("\(folder)/\(name)", remedy: "")
                try await node.core.take(evidence: bytes)
            } catch {
                if isFatal(error) { throw error }
                node.logger.notice(
                    "a file of evidence is not taken up again",
                    metadata: ["file": "\(folder)/\(name)", "reason": "\(error)"])
            }
        }
        return Set(try await node.core.offences().map(\.id))
    }

    private func keep(_ known: KnownOffence) -> Bool {
        let file = "\(node.home.evidence)/\(known.id).tally"
        do {
            try FileManager.default.createDirectory(
                atPath: node.home.evidence, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            if !node.home.exists(file) {
                try node.home.write(known.evidence.bytes, to: file, secret: false)
            }
        } catch {
            node.logger.error(
                "evidence cannot be kept; it is tried again",
                metadata: ["offence": "\(known.offence)", "reason": "\(error)"])
            return false
        }
        node.logger.error(
            "a member broke a rule of the chain",
            metadata: ["offence": "\(known.offence)", "evidence": "\(file)"])
        return true
    }

    private func handIn(_ known: KnownOffence) async throws {
        guard let transaction = known.transaction else { return }
        do {
            _ = try await node.gateway.contribute([transaction])
        } catch {
            if isFatal(error) { throw error }
            node.logger.notice(
                "evidence is not on the chain yet",
                metadata: ["offence": "\(known.offence)", "reason": "\(error)"])
        }
    }
}

extension KnownOffence {
    /// What has the chain record it; nil for evidence that fits into no envelope.
    var transaction: WireTransaction? {
        var transaction = WireTransaction()
        if let signed = evidence.signedInvalidBlock {
            transaction.evidenceSubmit.invalidBlock.header = data(signed.bytes)
            transaction.evidenceSubmit.invalidBlock.signature = data(signed.signature.bytes)
            transaction.evidenceSubmit.invalidBlock.key = data(evidence.key.bytes)
        } else {
            guard evidence.bytes.count <= Envelope.maximumBytes - 4_096 else { return nil }
            transaction.evidenceSubmit.evidence = data(evidence.bytes)
        }
        return transaction
    }
}
