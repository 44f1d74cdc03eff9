"""Exported chains, as ledger.md describes them: all that can be checked without executing a transaction."""
from ledger import (BLOCK_BYTES, SEQUENCE_STEP, ZERO, Block, Keys, Log, Refused, Terms, member, require,
                    sha256, signed)

MAGIC = b"tally/chain/v1\0"


def blocks(data, network):
    require(data[:len(MAGIC)] == MAGIC and data[len(MAGIC):len(MAGIC) + 32] == network,
            "the file is no chain, or of another network")
    place = len(MAGIC) + 32
    while place < len(data):
        size = int.from_bytes(data[place:place + 4], "big")
        require(place + 4 + size <= len(data) and 0 < size <= BLOCK_BYTES, "the file ends inside a block")
        yield Block(data[place + 4:place + 4 + size], network)
        place += 4 + size


class Chain:
    """A chain as far as it was read."""

    def __init__(self, genesis):
        self.network, self.terms, self.keys, self.log = genesis.network, Terms(genesis), Keys(genesis), Log()
        self.slot, self.hash, self.time = (0, 0), genesis.network, genesis.time
        self.header, self.settled, self.transactions, self.sequences = None, 0, 0, {}
        self.documents = {}  # account -> signing keys that a document states
        for one in genesis.members:
            self.know(one)

    def know(self, one):
        self.documents.setdefault(one.account, set()).add(one.signing_key)

    def append(self, block):
        header, fields = block.header, block.header.fields
        require(header.slot[1] == self.slot[1] + 1 and fields.previous == self.hash,
                f"the block at {header.slot} does not extend the one before")
        rules = self.rules(block)
        header.check(rules)
        if block.certificate:
            block.certificate.check(self.header, self.terms.certifying)
            if not self.header.first:
                self.settled = self.slot[1] - 1
        require(fields.time_ms >= self.time + rules.chain.block_interval_ms,
                f"the block at {header.slot} is less than a block interval after its parent")
        self.terms.advance(rules, header.first)
        if block.opening:
            self.keys.decide(block.opening.decision)
            for one in block.opening.decision.members:
                self.know(one)
            self.documents.setdefault(rules.coordinator, set()).add(rules.key)
        for envelope in block.envelopes:
            self.admit(envelope, header.slot[1])
        block.extend(self.log)
        self.roots(block, rules)
        self.slot, self.hash, self.time, self.header = header.slot, block.hash, fields.time_ms, header
        self.transactions += fields.transaction_count

    def rules(self, block):
        header = block.header
        if not header.first:
            require(header.slot[0] == self.slot[0], f"no opening of term {header.slot[0]} is known")
            return self.terms.newest
        if block.opening is None:
            require(self.slot == (0, 0), f"the header at {header.slot} names an opening where none belongs")
            return self.terms.newest
        block.opening.check(self.slot, self.terms.in_force)
        return self.terms.opened(block.opening, header.slot[1])

    def admit(self, envelope, height):
        """Admission, under any signing key that a document on the chain states for the signer."""
        fields = envelope.header
        known = self.documents.get(fields.signer, ())
        require(known, f"{fields.signer} is not registered")
        require(any(signed(key, envelope.signature, "envelope", self.network, envelope.header_bytes) for key in known),
                f"the signature of {fields.signer} at height {height} is not good")
        require(fields.sequence > self.sequences.get(fields.signer, 0), f"a sequence of {fields.signer} is used twice")
        require(fields.sequence - self.sequences.get(fields.signer, 0) <= SEQUENCE_STEP,
                f"a sequence of {fields.signer} is far above the last one")
        require(height <= fields.not_after_height, f"an envelope at height {height} had expired")
        self.sequences[fields.signer] = fields.sequence
        for body in envelope.bodies:
            content = {"member_enrol": body.member_enrol, "member_rekey": body.member_rekey}.get(body.body())
            if content is None:
                continue
            try:
                one = member(content.member, "member document")
            except Refused:
                continue  # a contract rejects it
            self.know(one)
            self.keys.add(one)

    def roots(self, block, rules):
        """What the header says of the execution, as far as it can be known without executing."""
        fields = block.header.fields
        if fields.transaction_count == 0:
            require(fields.effects_root == sha256(b""), f"the block at {self.slot} has effects of no transaction")
        interval = fields.height % rules.chain.checkpoint_interval == 0
        closes = any(body.body() == "round_close" for one in block.envelopes for body in one.bodies)
        require(not interval or fields.state_root != ZERO, f"the checkpoint at height {fields.height} has no state root")
        require(interval or closes or fields.state_root == ZERO, f"height {fields.height} is no checkpoint")


def check(data, genesis):
    """Reads a chain; raises Refused at the first fault."""
    chain = Chain(genesis)
    for block in blocks(data, genesis.network):
        chain.append(block)
    return chain


__all__ = ["Refused", "check"]
