package import Cryptography
package import Wire

/// A member's signed word on the newest block that it holds as settled.
///
/// Members hand these to each other directly, so that two who were shown different chains find out.
package struct Head: Hashable, Sendable {
    package let bytes: [UInt8]
    package let account: AccountID
    package let settled: Slot
    package let block: Digest
    package let logSize: UInt64
    package let logRoot: Digest
    let statement: [UInt8]
    let signature: Signature

    package init(
        account: AccountID, settled: Slot, block: Digest, logSize: UInt64, logRoot: Digest,
        network: NetworkID, key: SigningKey
    ) throws {
        self.account = account
        self.settled = settled
        self.block = block
        self.logSize = logSize
        self.logRoot = logRoot
        var statement = WireHeadStatement()
        statement.account = account.text
        statement.settledTerm = settled.term.value
        statement.settledHeight = settled.height.value
        statement.settledBlock = data(block.bytes)
        statement.logSize = logSize
        statement.logRoot = data(logRoot.bytes)
        self.statement = statement.encoded()
        signature = try key.sign(payload(.head, network: network, self.statement))
        var wire = WireSignedHead()
        wire.statement = data(self.statement)
        wire.signature = data(signature.bytes)
        bytes = wire.encoded()
    }

    /// - Throws: ``WireFault`` for bytes that are no head.
    package init(strictly bytes: [UInt8]) throws(WireFault) {
        let wire = try WireSignedHead(strictly: bytes)
        statement = [UInt8](wire.statement)
        let content = try WireHeadStatement(strictly: statement)
        guard let account = AccountID(content.account), let block = Digest(content.settledBlock),
            let root = Digest(content.logRoot), let signature = Signature(wire.signature)
        else { throw .malformed("head") }
        self.bytes = bytes
        self.account = account
        settled = Slot(
            term: Term(content.settledTerm), height: Height(content.settledHeight))
        self.block = block
        logSize = content.logSize
        logRoot = root
        self.signature = signature
    }

    package func isSigned(by key: VerifyingKey, network: NetworkID) -> Bool {
        key.verifies(signature, of: payload(.head, network: network, statement))
    }
}
