"""Settlement proofs, as receipt.md describes them."""
from ledger import Certificate, Header, Opening, Refused, Terms, included, leaf, log_leaf, name, require, signed, strictly

MAXIMUM = 8 << 20


class ProvenTerms:
    """The terms that a proof hands over from one to the next, checked from genesis."""

    def __init__(self, genesis):
        self.network, self.terms = genesis.network, Terms(genesis)
        self.firsts, self.second, self.needed = {}, None, None

    def follow(self, link):
        opening = Opening(link.opening, self.network)
        slot, parent = self.stand(link)
        opening.check(slot, self.terms.in_force)
        rules = self.terms.opened(opening, slot[1] + 1)
        first = Header.of(link.first, self.network)
        require(first.slot == (rules.term, rules.first) and first.fields.previous == parent
                and first.fields.opening == opening.hash, f"term {rules.term}: the first block is not the one that it opens")
        first.check(rules)
        self.terms.advance(rules, first=True)
        self.firsts[rules.term], self.second = first.hash, None
        if link.second is None:
            require(not link.certificate, f"term {rules.term}: a certificate of no block")
            return
        second = Header.of(link.second, self.network)
        require(second.slot == (rules.term, rules.first + 1) and second.fields.previous == first.hash and not second.first,
                f"term {rules.term}: its second block does not follow the first")
        second.check(rules)
        self.needed = self.terms.needed(rules)
        Certificate(link.certificate, self.network).check(second, self.needed)
        self.second = second

    def stand(self, link):
        """Moves on to the parent of the next term's first block."""
        rules = self.terms.newest
        if link.parent is None:
            require(rules.term == 1, "a term does not name the block that it begins above")
            return (0, 0), self.network
        parent = Header.of(link.parent, self.network)
        require(parent.slot[0] == rules.term and parent.slot[1] >= rules.first,
                "a term begins above a block of another term than the one before")
        parent.check(rules)
        self.place(parent, rules)
        if parent.slot[1] == rules.first:
            require(self.second is None, "the term before has a second block in the proof and not here")
            if rules.term == 1:
                self.terms.advance(rules, first=True)
        else:
            require(rules.term == 1 or self.second, "no quorum of the voters before agrees to those after")
            self.terms.advance(rules, first=False)
        return parent.slot, parent.hash

    def place(self, header, rules):
        first = header.slot[1] == rules.first
        require(header.first == first, f"the header at {header.slot} opens a term where none begins, or does not")
        if first and rules.term == 1:
            require(header.fields.previous == header.fields.opening == self.network,
                    f"the header at {header.slot} is not the first block of its term")
        elif first:
            require(header.hash == self.firsts[rules.term], f"the header at {header.slot} is not the first block of its term")
        if rules.term == self.terms.newest.term and self.second and header.slot == self.second.slot:
            require(header.hash == self.second.hash, f"the header at {header.slot} is not the second block of its term")

    def walk(self, headers):
        parent = None
        for header in headers:
            rules = self.terms.all.get(header.slot[0])
            require(rules and header.slot[1] >= rules.first, f"the header at {header.slot} is of no term of the proof")
            header.check(rules)
            self.place(header, rules)
            require(parent is None or header.fields.previous == parent.hash and header.slot[1] == parent.slot[1] + 1
                    and (header.slot[0] == parent.slot[0] or header.first and header.slot[0] > parent.slot[0]),
                    f"the header at {header.slot} is no child of the one before")
            parent = header

    def certifying(self, last):
        rules = self.terms.newest
        if rules.term == 1:
            return [rules.voters]
        require(self.second, "no quorum of the voters before agrees to those after")
        return self.needed if last.hash == self.second.hash else [rules.voters]


def check(data, genesis):
    """What a proof shows to be settled; raises Refused."""
    require(len(data) <= MAXIMUM, "the proof is too large")
    proof = strictly("SettlementProof", data, "proof")
    require(proof.network == genesis.network, "the proof belongs to another network than the genesis document")
    proven = ProvenTerms(genesis)
    for link in proof.terms:
        proven.follow(link)
    headers = [Header.of(one, genesis.network) for one in proof.headers]
    proven.walk(headers)
    require(len(headers) > 1 and headers[-1].slot[0] == headers[-2].slot[0] == proven.terms.newest.term,
            "the last header has no parent of its own term in the proof, so it settles nothing")
    Certificate(proof.certificate, genesis.network).check(headers[-1], proven.certifying(headers[-1]))
    block = headers[0]
    found = {"height": block.slot[1], "term": block.slot[0], "block": block.hash.hex(), "timeMilliseconds": block.fields.time_ms}
    if proof.transaction is not None:
        found.update(transaction(proof.transaction, block, genesis.network))
    return found


def transaction(proof, block, network):
    envelope = strictly("EnvelopeHeader", proof.envelope_header, "envelope")
    body = strictly("Transaction", proof.transaction, "transaction")
    effect = strictly("Effect", proof.effect, "effect")
    require(signed(proof.signer_key, proof.envelope_signature, "envelope", network, proof.envelope_header),
            "the envelope is not signed by the key stated")
    require(included(leaf(proof.transaction), proof.index, envelope.transaction_count, proof.transaction_path,
                     envelope.transactions_root), "the transaction is not one of its envelope")
    known = name("envelope", network, proof.envelope_header)
    require((effect.envelope, effect.index) == (known, proof.index), "the effect is of another transaction")
    fields = block.fields
    require(included(leaf(proof.effect), proof.block_index, fields.transaction_count, proof.effect_path,
                     fields.effects_root), "the effect is not one of the block")
    if proof.log is not None:
        require(proof.log.index == fields.log_size - fields.transaction_count + proof.block_index
                and included(log_leaf(known, proof.index, proof.transaction), proof.log.index, fields.log_size,
                             proof.log.path, fields.log_root), "the transaction does not stand there in the log")
    return {
        "transaction": f"{known.hex()}/{proof.index}", "signer": envelope.signer, "kind": body.body(),
        "outcome": effect.outcome, "postings": [
            {"debit": one.debit, "credit": one.credit, "microtokens": one.microtokens, "rule": one.rule,
             "availableFrom": one.available_from} for one in effect.postings]}


__all__ = ["Refused", "check"]
