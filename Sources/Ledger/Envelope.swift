package import Cryptography
package import Wire

/// Why bytes are not an admissible envelope, in the order of the checks.
package enum EnvelopeFault: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLarge(bytes: Int)
    case malformed(WireFault)
    case badSigner(String)
    case badSignatureLength(Int)
    case empty
    case tooMany(Int)
    case wrongCount(stated: UInt32, found: Int)
    case wrongRoot
    case malformedTransaction(index: Int, WireFault)
    case emptyTransaction(index: Int)
    case zeroSequence

    package var description: String {
        switch self {
        case .tooLarge(let bytes):
            "the envelope has \(bytes) bytes, at most \(Envelope.maximumBytes) are admitted; "
                + "divide it into several"
        case .malformed(let fault): "the envelope is malformed: \(fault)"
        case .badSigner(let text): "the signer \"\(text)\" is not an account id (role/name)"
        case .badSignatureLength(let count): "the signature has \(count) bytes instead of 64"
        case .empty: "the envelope holds no transaction"
        case .tooMany(let count):
            "the envelope holds \(count) transactions, at most \(Envelope.maximumTransactions) are "
                + "admitted; divide it into several"
        case .wrongCount(let stated, let found):
            "the header counts \(stated) transactions, the envelope holds \(found)"
        case .wrongRoot: "the transactions do not hash to the root that the header states"
        case .malformedTransaction(let index, let fault):
            "transaction \(index) of the envelope is malformed: \(fault)"
        case .emptyTransaction(let index): "transaction \(index) of the envelope says nothing"
        case .zeroSequence: "sequence 0 is not used; sequences start at 1"
        }
    }
}

/// An envelope whose transactions are not read yet: enough to see who signed it.
///
/// Reading transactions costs a hundred times their bytes, so a server looks at the signature first.
package struct SealedEnvelope: Sendable {
    package let id: Digest
    package let header: WireEnvelopeHeader
    package let signer: AccountID
    package let signature: Signature
    fileprivate let bytes: [UInt8]
    fileprivate let headerBytes: [UInt8]
    fileprivate let transactionBytes: [[UInt8]]

    package init(strictly bytes: [UInt8], network: NetworkID) throws(EnvelopeFault) {
        guard bytes.count <= Envelope.maximumBytes else { throw .tooLarge(bytes: bytes.count) }
        let outer: WireEnvelope
        do {
            outer = try WireEnvelope(strictly: bytes)
            headerBytes = [UInt8](outer.header)
            header = try WireEnvelopeHeader(strictly: headerBytes)
        } catch { throw .malformed(error) }
        guard let signer = AccountID(header.signer) else { throw .badSigner(header.signer) }
        guard let signature = Signature(outer.signature) else {
            throw .badSignatureLength(outer.signature.count)
        }
        guard header.sequence > 0 else { throw .zeroSequence }
        guard !outer.transactions.isEmpty else { throw .empty }
        guard outer.transactions.count <= Envelope.maximumTransactions else {
            throw .tooMany(outer.transactions.count)
        }
        guard outer.transactions.count == Int(header.transactionCount) else {
            throw .wrongCount(
                stated: header.transactionCount, found: outer.transactions.count)
        }
        self.bytes = bytes
        self.signer = signer
        self.signature = signature
        transactionBytes = outer.transactions.map { [UInt8]($0) }
        id = payloadHash(.envelope, network: network, headerBytes)
    }

    /// Whether the signature is the key's over the header, and so over all transactions.
    package func isSigned(by key: VerifyingKey, network: NetworkID) -> Bool {
        key.verifies(signature, of: payload(.envelope, network: network, headerBytes))
    }
}

/// The exact signed bytes of one or more transactions, with signer and signature.
///
/// Its id hashes what the signature covers, so another signature over the same header is the same
/// envelope. Holding one says that its bytes are in order; it says nothing of the signature.
package struct Envelope: Hashable, Sendable {
    package static let maximumBytes = 1 << 20
    package static let maximumTransactions = 20_000

    /// As received, never re-encoded.
    package let bytes: [UInt8]
    package let id: Digest
    package let header: WireEnvelopeHeader
    package let signer: AccountID
    package let signature: Signature
    package let transactions: [WireTransaction]
    package let transactionBytes: [[UInt8]]
    /// What the signature covers.
    package let headerBytes: [UInt8]

    package init(strictly bytes: [UInt8], network: NetworkID) throws(EnvelopeFault) {
        try self.init(opening: try SealedEnvelope(strictly: bytes, network: network))
    }

    /// Reads the transactions.
    package init(opening sealed: SealedEnvelope) throws(EnvelopeFault) {
        let raw = sealed.transactionBytes
        guard merkleRoot(raw.map(leafHash)).bytes == [UInt8](sealed.header.transactionsRoot) else {
            throw .wrongRoot
        }
        var transactions: [WireTransaction] = []
        transactions.reserveCapacity(raw.count)
        for (index, content) in raw.enumerated() {
            do {
                transactions.append(try WireTransaction(strictly: content))
            } catch { throw .malformedTransaction(index: index, error) }
            guard transactions[index].body != nil else { throw .emptyTransaction(index: index) }
        }
        bytes = sealed.bytes
        header = sealed.header
        headerBytes = sealed.headerBytes
        signer = sealed.signer
        signature = sealed.signature
        self.transactions = transactions
        transactionBytes = raw
        id = sealed.id
    }

    /// Whether the signature is the key's over this header.
    package func isSigned(by key: VerifyingKey, network: NetworkID) -> Bool {
        key.verifies(signature, of: payload(.envelope, network: network, headerBytes))
    }

    /// The leaf of a transaction in the ledger's log: envelope id ‖ u32be(index) ‖ transaction.
    package func logLeaf(_ index: Int) -> Digest {
        Ledger.logLeaf(id, UInt32(index), transactionBytes[index])
    }
}

/// The leaf of a transaction in the log: envelope id ‖ u32be(index) ‖ transaction.
package func logLeaf(_ envelope: Digest, _ index: UInt32, _ transaction: [UInt8]) -> Digest {
    leafHash(envelope.bytes + bigEndian(index) + transaction)
}

/// Signs transactions as one envelope.
///
/// - Returns: the envelope's bytes; they are over the limit when the transactions are too many.
package func signedEnvelope(
    _ transactions: [WireTransaction], signer: AccountID, sequence: UInt64,
    notAfter: Height, network: NetworkID, key: SigningKey
) throws -> [UInt8] {
    let raw = transactions.map { $0.encoded() }
    var header = WireEnvelopeHeader()
    header.signer = signer.text
    header.sequence = sequence
    header.notAfterHeight = notAfter.value
    header.transactionsRoot = data(merkleRoot(raw.map(leafHash)).bytes)
    header.transactionCount = UInt32(raw.count)
    let headerBytes = header.encoded()
    let signature = try key.sign(payload(.envelope, network: network, headerBytes))
    var outer = WireEnvelope()
    outer.header = data(headerBytes)
    outer.signature = data(signature.bytes)
    outer.transactions = raw.map(data)
    return outer.encoded()
}
