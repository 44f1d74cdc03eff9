import Cryptography
import Wire

/// A receipt, and every block in which the envelope had to be included by its word.
extension Evidence {
    func charge(_ body: WireBrokenPromise) throws(EvidenceFault) -> Charge {
        let promise = try PromisedEnvelope(body, network: network)
        var log = try promise.log(before: body)
        var (previous, term) = (promise.block, promise.term)
        var statements = [promise.statement]
        for (index, bytes) in body.blocks.enumerated() {
            let block: Block
            do {
                block = try Block(strictly: [UInt8](bytes), network: network)
            } catch { throw .badPart("block \(index + 1)", "\(error)") }
            guard block.header.proposer == offender else {
                throw .provesNothing("a block is another proposer's")
            }
            guard block.height == promise.acceptedAfter.advanced(by: UInt64(index) + 1),
                block.header.previous == previous
            else { throw .provesNothing("the blocks are no chain above the one that it names") }
            guard block.slot.term == term else {
                throw .provesNothing("the term ended before the promised height")
            }
            try promise.requireLeftOut(of: block)
            for envelope in block.envelopes {
                for index in envelope.transactions.indices { log.append(envelope.logLeaf(index)) }
            }
            guard block.header.logSize == log.size, block.header.logRoot == log.root else {
                throw .provesNothing("block \(index + 1) is not whole")
            }
            statements.append(
                Charge.Statement(
                    kind: .block, bytes: block.headerBytes, signature: block.signature))
            (previous, term) = (block.hash, block.slot.term)
        }
        return Charge(
            offence: offence(
                term: term, height: promise.includedBy, envelope: promise.envelope),
            statements: statements)
    }
}

/// What a receipt promises, and of which envelope.
private struct PromisedEnvelope {
    /// Of a log that could ever be; sums of sizes then stay in 64 bits.
    static let maximumLogSize: UInt64 = 1 << 62

    let envelope: Digest
    let signer: AccountID
    let sequence: UInt64
    let acceptedAfter: Height
    let includedBy: Height
    /// The block after which it was accepted, and its term; of genesis: that of the first blocks.
    let block: Digest
    let term: Term
    let statement: Charge.Statement
    private let before: BlockHeader?

    init(_ body: WireBrokenPromise, network: NetworkID) throws(EvidenceFault) {
        let outer: WireReceipt
        let receipt: WireReceiptStatement
        let header: WireEnvelopeHeader
        do {
            outer = try WireReceipt(strictly: [UInt8](body.receipt))
            receipt = try WireReceiptStatement(strictly: [UInt8](outer.statement))
        } catch { throw .badPart("receipt", "\(error)") }
        do {
            header = try WireEnvelopeHeader(strictly: [UInt8](body.envelopeHeader))
        } catch { throw .badPart("envelope's header", "\(error)") }
        guard let envelope = Digest(receipt.envelope),
            let block = Digest(receipt.acceptedAfterBlock),
            let signature = Signature(outer.signature), let signer = AccountID(header.signer)
        else { throw .badPart("receipt", "a field is not well formed") }
        guard payloadHash(.envelope, network: network, [UInt8](body.envelopeHeader)) == envelope
        else { throw .provesNothing("the receipt is for another envelope") }
        acceptedAfter = Height(receipt.acceptedAfterHeight)
        includedBy = Height(receipt.includedByHeight)
        guard acceptedAfter < includedBy,
            includedBy.value - acceptedAfter.value == UInt64(body.blocks.count)
        else { throw .provesNothing("it does not show every block up to the promised height") }
        guard header.notAfterHeight >= includedBy.value else {
            throw .provesNothing("the envelope expired before the promised height")
        }
        if acceptedAfter == .genesis {
            guard body.before.isEmpty, block == network.digest else {
                throw .provesNothing("the receipt names another block")
            }
            before = nil
        } else {
            do {
                before = try BlockHeader(strictly: [UInt8](body.before), network: network)
            } catch { throw .badPart("header before", "\(error)") }
            guard payloadHash(.block, network: network, [UInt8](body.before)) == block,
                before?.slot.height == acceptedAfter
            else { throw .provesNothing("the receipt names another block") }
        }
        term = before?.slot.term ?? .first
        self.envelope = envelope
        self.signer = signer
        self.block = block
        sequence = header.sequence
        statement = Charge.Statement(
            kind: .receipt, bytes: [UInt8](outer.statement), signature: signature)
    }

    /// The log after the block that the receipt names.
    func log(before body: WireBrokenPromise) throws(EvidenceFault) -> MerkleFrontier {
        let peaks = body.logPeaks.compactMap { Digest($0) }
        let size = before?.logSize ?? 0
        guard size <= Self.maximumLogSize, peaks.count == body.logPeaks.count,
            let log = MerkleFrontier(size: size, peaks: peaks),
            log.root == before?.logRoot ?? log.root
        else { throw .provesNothing("the peaks are not those of the log before") }
        return log
    }

    /// Checks that a block neither contains the envelope nor says why no later one could.
    func requireLeftOut(of block: Block) throws(EvidenceFault) {
        for other in block.envelopes {
            guard other.id != envelope else {
                throw .provesNothing("block \(block.height) contains the envelope")
            }
            guard other.signer != signer || other.header.sequence < sequence else {
                throw .provesNothing("the signer used the sequence for another envelope")
            }
            guard !other.transactions.contains(where: { changesKeys($0, by: other.signer) }) else {
                throw .provesNothing("the signer's keys changed in block \(block.height)")
            }
        }
    }

    /// Whether a transaction may give the signer other keys, or none.
    ///
    /// Keys of voters change with the term only. A rejected transaction counts as well, for outcomes
    /// are not shown here: who is in doubt goes free.
    private func changesKeys(_ transaction: WireTransaction, by sender: AccountID) -> Bool {
        guard signer.role?.votes != true else { return false }
        return switch transaction.body {
        case .memberRekey: sender == signer
        case .memberRevoke(let body):
            body.account == signer.text && (sender == signer || sender.role?.votes == true)
        default: false
        }
    }
}
