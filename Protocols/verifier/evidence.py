"""Offences that prove themselves, as evidence.md describes them."""
from ledger import VOTING, Block, Header, Log, Refused, Status, is_account, name, require, role, signed, strictly
from ledger import ROLES, Certificate
from wire import make

MAXIMUM = 64 << 20
WORDS = {
    "two_headers": "two headers", "two_votes": "two votes", "two_statuses": "two statuses",
    "hidden_certificate": "hidden certificate", "inconsistent_heads": "inconsistent heads",
    "broken_promise": "broken promise", "invalid_block": "invalid block"}


class Case:
    """Evidence under examination: what the offender must have signed, and what it amounts to."""

    def __init__(self, evidence):
        self.evidence, self.network, self.offender = evidence, evidence.network, evidence.offender
        self.statements, self.place, self.envelope = [], (0, 0), b""

    def signs(self, kind, data, signature):
        self.statements.append((kind, data, signature))

    def ordered(self, first, second):
        require(first < second, "the statements are one, or do not stand in ascending order")

    # -- parts
    def header(self, data):
        return Header(data, bytes(64), self.network)

    def block_header(self, message):
        header = Header.of(message, self.network)
        require(header.fields.proposer == self.offender, "a header names another proposer")
        self.signs("block", header.bytes, header.signature)
        return header

    def vote(self, data):
        vote = strictly("Vote", data, "vote")
        statement = strictly("VoteStatement", vote.statement, "vote")
        require(len(statement.block) == 32 and vote.voter == self.offender, "a vote is another voter's")
        self.signs("vote", vote.statement, vote.signature)
        return (statement.term, statement.height), statement.block

    def status(self, data):
        status = Status(data)
        require(status.voter == self.offender, "a status is another voter's")
        self.signs("status", status.statement, status.signature)
        return status

    def voted_for(self, data, slot, block):
        header = self.header(data)
        require((header.hash, header.slot) == (block, slot), "a header is not of the block voted for")
        return header

    # -- kinds
    def two_headers(self, body):
        first, second = self.block_header(body.first), self.block_header(body.second)
        self.ordered(first.bytes, second.bytes)
        self.place = first.slot
        if first.slot != second.slot:
            require(first.slot[0] == second.slot[0] and first.first and second.first,
                    "the headers are of two slots and not both of first blocks")
            self.place = first.slot[0], 0

    def two_votes(self, body):
        (first, one), (second, other) = self.vote(body.first), self.vote(body.second)
        self.ordered(body.first, body.second)
        require(first[0] == second[0] and one != other, "the votes are of two terms, or for one block")
        self.place = first
        if first == second:
            require(not body.first_header and not body.second_header, "votes at one slot need no headers")
        else:
            require(self.voted_for(body.first_header, first, one).first
                    and self.voted_for(body.second_header, second, other).first,
                    "the votes are at two slots and not for first blocks")
            self.place = first[0], 0

    def two_statuses(self, body):
        first, second = self.status(body.first), self.status(body.second)
        self.ordered(body.first, body.second)
        require(first.term == second.term and first.statement != second.statement,
                "the statuses are for two terms, or say the same")
        self.place = first.term, 0

    def hidden_certificate(self, body):
        status, (slot, block) = self.status(body.status), self.vote(body.vote)
        require(slot[0] < status.term, "the vote is not below the term of the status")
        header, certificate = self.voted_for(body.header, slot, block), Certificate(body.certificate, self.network)
        require(certificate.hash == header.fields.parent_certificate, "the block voted for carries another certificate")
        require(certificate.slot > status.highest, "the status reports a certificate that is as high")
        self.place = status.term, 0

    def inconsistent_heads(self, body):
        heads = []
        for data in (body.first, body.second):
            head = strictly("SignedHead", data, "head")
            statement = strictly("HeadStatement", head.statement, "head")
            require(statement.account == self.offender and len(statement.settled_block) == len(statement.log_root) == 32,
                    "a head is another member's")
            self.signs("head", head.statement, head.signature)
            heads.append((head.statement, statement.settled_height))
        self.ordered(body.first, body.second)
        require(heads[0][0] != heads[1][0] and heads[0][1] == heads[1][1], "the heads are of two heights, or say the same")
        self.place = 0, heads[0][1]

    def broken_promise(self, body):
        outer = strictly("Receipt", body.receipt, "receipt")
        receipt = strictly("ReceiptStatement", outer.statement, "receipt")
        envelope = strictly("EnvelopeHeader", body.envelope_header, "envelope")
        self.signs("receipt", outer.statement, outer.signature)
        require(is_account(envelope.signer), "the envelope's signer is no account")
        after, by, block = receipt.accepted_after_height, receipt.included_by_height, receipt.accepted_after_block
        require(name("envelope", self.network, body.envelope_header) == receipt.envelope, "the receipt is for another envelope")
        require(after < by and by - after == len(body.blocks), "it does not show every block up to the promised height")
        require(envelope.not_after_height >= by, "the envelope expired before the promised height")
        term, log = 1, Log()
        if after == 0:
            require(not body.before and block == self.network and not body.log_peaks, "the receipt names another block")
        else:
            before = self.header(body.before)
            require((before.hash, before.slot[1]) == (block, after), "the receipt names another block")
            term, size = before.slot[0], before.fields.log_size
            require(size <= 1 << 62 and len(body.log_peaks) == size.bit_count() and all(len(p) == 32 for p in body.log_peaks),
                    "the peaks are not those of the log before")
            log = Log(size, body.log_peaks)
            require(log.root() == before.fields.log_root, "the peaks are not those of the log before")
        for step, data in enumerate(body.blocks):
            shown = Block(data, self.network)
            header = shown.header
            require(header.fields.proposer == self.offender, "a block is another proposer's")
            require(header.slot[1] == after + step + 1 and header.fields.previous == block,
                    "the blocks are no chain above the one that it names")
            require(header.slot[0] == term, "the term ended before the promised height")
            for other in shown.envelopes:
                self.left_out(other, receipt.envelope, envelope)
            shown.extend(log)
            self.signs("block", header.bytes, header.signature)
            block = shown.hash
        self.place, self.envelope = (term, by), receipt.envelope

    def left_out(self, other, promised, envelope):
        signer = envelope.signer
        require(other.id != promised, "a block contains the envelope")
        require(other.header.signer != signer or other.header.sequence < envelope.sequence,
                "the signer used the sequence for another envelope")
        if role(signer) in VOTING:
            return
        sender = other.header.signer
        for body in other.bodies:
            rekeyed = body.body() == "member_rekey" and sender == signer
            revoked = (body.body() == "member_revoke" and body.member_revoke.account == signer
                       and (sender == signer or role(sender) in VOTING))
            require(not rekeyed and not revoked, "the signer's keys changed")


def check(data, genesis, keys):
    """What evidence convicts of; raises Refused."""
    require(len(data) <= MAXIMUM, "the evidence is too large")
    evidence = strictly("Evidence", data, "evidence")
    require(evidence.network == genesis.network, "the evidence belongs to another network")
    require(is_account(evidence.offender) and role(evidence.offender) in ROLES and len(evidence.key) == 32,
            "offender or key is not well formed")
    kind = evidence.body()
    require(kind, "it states no offence")
    require(kind != "invalid_block",
            "an invalid block convicts by re-execution only; use `tally evidence check FILE --home HOME`")
    case = Case(evidence)
    getattr(case, kind)(getattr(evidence, kind))
    require(keys.owners.get(evidence.key) == evidence.offender, f"the key is not known to be one of {evidence.offender}")
    for what, content, signature in case.statements:
        require(signed(evidence.key, signature, what, genesis.network, content),
                f"a statement is not signed by the key of {evidence.offender}")
    offence = make("Offence", offender=evidence.offender, key=evidence.key, kind=WORDS[kind], term=case.place[0],
                   height=case.place[1], envelope=case.envelope)
    return {"offender": evidence.offender, "offence": WORDS[kind], "term": case.place[0], "height": case.place[1],
            "id": name("evidence", genesis.network, offence.encoded()).hex()}


__all__ = ["Refused", "check"]
