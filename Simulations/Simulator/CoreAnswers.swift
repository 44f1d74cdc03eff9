import Contracts
import Cryptography
import Federation
import Ledger
import Wire

extension Core {
    func honestAnswer(_ request: Request, from peer: AccountID, id: UInt64) throws -> Response? {
        do {
            switch request {
            case .nextBlock(let height, let hash): return .block(block(after: height, hash: hash))
            case .block(let hash): return .block(block(hash))
            case .vote(let bytes):
                guard try Vote(strictly: bytes).voter == peer else {
                    throw Refused("notPermitted")
                }
                try count(bytes)
                return .done
            case .exchange(let exchange):
                try learn(from: exchange)
                return .exchange(try newExchange())
            case .blob(let digest):
                disk.putBlob(digest)
                return .done
            case .submit(let bytes):
                if isFollowedByItself { return .receipt(try submit(bytes)) }
                pass(on: request, for: peer, id: id, envelope: bytes)
            case .nextSequence(let account):
                if isFollowedByItself { return .nextSequence(nextSequence(of: account)) }
                pass(on: request, for: peer, id: id, envelope: nil)
            }
            return nil
        } catch let refused as Refused {
            return .failure(code: refused.code, message: refused.description)
        } catch {
            if isFatal(error) { throw error }
            return .failure(code: "refused", message: "\(error)")
        }
    }

    private func pass(on request: Request, for client: AccountID, id: UInt64, envelope: [UInt8]?) {
        guard client.role?.votes != true else { return }
        _ = ask(followed, request, .relay(to: client, id: id, envelope: envelope))
    }

    func relay(
        _ answer: Result<Response, Unanswered>, to client: AccountID, id: UInt64,
        envelope: [UInt8]?
    ) throws {
        let response: Response
        switch answer {
        case .success(let content):
            if let envelope, case .receipt(let receipt) = content {
                do {
                    try keep(envelope, receipt: receipt)
                } catch let refused as Refused {
                    world.respond(
                        .failure(code: refused.code, message: ""), from: account, to: client, id)
                    return
                }
            }
            response = content
        case .failure(.refused(let code)): response = .failure(code: code, message: "")
        case .failure: return
        }
        world.respond(response, from: account, to: client, id)
    }

    func nextSequence(of signer: AccountID) -> WireNextSequence {
        var next = WireNextSequence()
        next.settledHeight = replica.settled.height.value
        next.sequence = coordinator?.nextSequence(of: signer, above: replica) ?? 0
        return next
    }

    /// The block after another one, whatever its stage.
    func block(after height: Height, hash: Digest) -> WireBlockResponse {
        var response = WireBlockResponse()
        let next = height.next
        let known: Digest? =
            height <= replica.settled.height
            ? disk.hash(at: height) : replica.unsettled.first { $0.tip.height == height }?.tip.hash
        guard known == hash else {
            // A branch that a term change left behind may be the higher one.
            response.otherBranch = known != nil || height > replica.head.height
            return response
        }
        if next <= replica.settled.height {
            response.block = data(disk.block(at: next)?.bytes ?? [])
        } else if let block = replica.unsettled.first(where: { $0.tip.height == next }) {
            response.block = data(block.block.bytes)
            response.certificate = data(certificate(of: block.tip.hash)?.bytes ?? [])
        }
        return response
    }

    /// A block above the settled one, of whatever branch.
    func block(_ hash: Digest) -> WireBlockResponse {
        var response = WireBlockResponse()
        response.block = data(replica.block(hash)?.bytes ?? [])
        response.certificate = data(certificate(of: hash)?.bytes ?? [])
        return response
    }

    func certificate(of hash: Digest) -> Certificate? {
        if let highest = replica.journal.highest, highest.block == hash { return highest }
        return replica.unsettled.first { $0.block.header.previous == hash }?
            .block.parentCertificate
    }
}
