"""Hashes, trees, genesis, terms, votes and blocks, as ledger.md, genesis.md and terms.md describe them."""
import hashlib
import re
from collections import namedtuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wire import Malformed, make, parse

ZERO = bytes(32)
BLOCK_BYTES, ENVELOPE_BYTES = 4 << 20, 1 << 20
ENVELOPE_TRANSACTIONS, SEQUENCE_STEP = 20_000, 1 << 20
ROLES = {"coordinator", "site", "annotator", "developer", "patient", "treasurer"}
VOTING = {"coordinator", "site"}
PART = re.compile(r"[a-z0-9._-]{1,64}")


class Refused(Exception):
    """Why something proves nothing."""


def require(holds, reason):
    if not holds:
        raise Refused(reason)


def strictly(name, data, what):
    try:
        return parse(name, data)
    except Malformed as fault:
        raise Refused(f"the {what}: {fault}") from None


# -- hashes
def sha256(data):
    return hashlib.sha256(data).digest()


def payload(kind, network, data):
    return b"tally/" + kind.encode() + b"/v1\0" + network + len(data).to_bytes(8, "big") + data


def name(kind, network, data):
    return sha256(payload(kind, network, data))


def signed(key, signature, kind, network, data):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, payload(kind, network, data))
        return True
    except (InvalidSignature, ValueError):
        return False


def leaf(data):
    return sha256(b"\0" + data)


def node(left, right):
    return sha256(b"\1" + left + right)


class Log:
    """An append-only RFC 6962 tree, kept as the roots of its complete subtrees, largest first."""

    def __init__(self, size=0, peaks=()):
        self.size, self.peaks = size, list(peaks)

    def append(self, hashed):
        rest = self.size
        while rest & 1:
            hashed = node(self.peaks.pop(), hashed)
            rest >>= 1
        self.peaks.append(hashed)
        self.size += 1

    def root(self):
        if not self.peaks:
            return sha256(b"")
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node(peak, root)
        return root


def tree(leaves):
    log = Log()
    for one in leaves:
        log.append(leaf(one))
    return log.root()


def included(hashed, index, size, path, root):
    """RFC 6962: does the path lead from the leaf to the root?"""
    def expected(index, size):  # for each step upwards: is the sibling on the left?
        sides = []
        while size > 1:
            half = 1 << (size - 1).bit_length() - 1
            sides.append(index >= half)
            index, size = (index - half, size - half) if index >= half else (index, half)
        return sides[::-1]

    if index >= size:
        return False
    sides = expected(index, size)
    if len(sides) != len(path):
        return False
    for left, sibling in zip(sides, path):
        hashed = node(sibling, hashed) if left else node(hashed, sibling)
    return hashed == root


def log_leaf(envelope, index, transaction):
    return leaf(envelope + index.to_bytes(4, "big") + transaction)


def is_account(text):
    parts = text.split("/")
    return len(parts) == 2 and all(PART.fullmatch(part) for part in parts)


def role(account):
    return account.split("/")[0]


# -- members and voters
Member = namedtuple("Member", "account signing_key vote_key")
VoterSet = namedtuple("VoterSet", "keys quorum hash")  # keys: a tuple of (account, key), ascending


def member(data, what):
    outer = strictly("SignedMember", data, what)
    document = strictly("MemberDocument", outer.document, what)
    require(is_account(document.account) and role(document.account) in ROLES, f"the {what} has a bad account")
    require(len(document.signing_key) == 32 and len(document.transport_key) == 32, f"the {what} has a bad key")
    votes = role(document.account) in VOTING
    require(bool(document.vote_key) == votes, f"the {what}: a vote key is missing or not needed")
    require(signed(document.signing_key, outer.signing_proof, "member", ZERO, outer.document)
            and (not votes or signed(document.vote_key, outer.vote_proof, "member", ZERO, outer.document)),
            f"the {what} does not prove that it holds its keys")
    return Member(document.account, document.signing_key, document.vote_key)


def quorums(n):
    """The quorums that an agreement can ask for."""
    return {2 * n // 3 + 1} if n > 3 else {n, n // 2 + 1}


def voter_set(message, network):
    keys = tuple((voter.account, voter.vote_key) for voter in message.voters)
    accounts = [account for account, _ in keys]
    require(keys and accounts == sorted(set(accounts)) and len({key for _, key in keys}) == len(keys)
            and all(is_account(account) and role(account) in VOTING and len(key) == 32 for account, key in keys)
            and message.quorum in quorums(len(keys)), "a voter set is not well formed")
    return VoterSet(keys, message.quorum, name("voters", network, message.encoded()))


class Genesis:
    def __init__(self, data):
        message = strictly("Genesis", data, "genesis document")
        require(message.version == 1, "the genesis document has an unknown version")
        require(len(message.nonce) == 32, "the genesis nonce has not 32 bytes")
        self.network = name("genesis", ZERO, data)
        self.members = [member(one, f"founding member {i + 1}") for i, one in enumerate(message.members)]
        accounts = [one.account for one in self.members]
        require(accounts == sorted(set(accounts)), "the founding members do not stand in ascending order, each once")
        offices = [one for one in self.members if role(one.account) == "coordinator"]
        require(len(offices) == 1, "not one coordinator founds the network")
        require(any(role(account) == "site" for account in accounts), "no site founds the network")
        self.time, self.rules, self.rewards = message.time_ms, message.agreement.chain, message.agreement.rewards
        named = [one.account for one in self.rewards.developers] + [self.rewards.treasurer]
        require(all(one in accounts for one in named if one), "the agreement names an account that is no founding member")
        voters = [one for one in self.members if role(one.account) in VOTING]
        n = len(voters)
        quorum = 2 * n // 3 + 1 if n > 3 else n // 2 + 1 if self.rules.majority_quorum else n
        bare = make("VoterSet", quorum=quorum, voters=[
            make("Voter", account=one.account, vote_key=one.vote_key) for one in voters])
        self.voters = voter_set(bare, self.network)
        self.coordinator, self.coordinator_key = offices[0].account, offices[0].signing_key


class Keys:
    """Whose signing or vote key a key is; the first owner keeps it for ever."""

    def __init__(self, genesis):
        self.owners = {}
        for one in genesis.members:
            self.add(one)

    def add(self, one):
        for key in filter(None, (one.signing_key, one.vote_key)):
            self.owners.setdefault(key, one.account)

    def decide(self, decision):
        for one in decision.members:
            self.add(one)
        self.owners.setdefault(decision.coordinator_key, decision.coordinator)
        for account, key in decision.voters.keys:
            self.owners.setdefault(key, account)


# -- terms
def is_plain(text):
    """No controls, line separators or marks that turn the direction of writing?"""
    return not any(code < 0x20 or 0x7F <= code <= 0x9F or 0x2028 <= code <= 0x202E or 0x2066 <= code <= 0x2069
                   for code in map(ord, text))


class Decision:
    def __init__(self, data, network):
        require(len(data) <= 256 << 10, f"the decision has {len(data)} bytes")
        message = strictly("Decision", data, "decision")
        self.term, self.coordinator, self.coordinator_key = message.term, message.coordinator, message.coordinator_key
        require(self.term > 1 and is_account(self.coordinator) and role(self.coordinator) == "coordinator"
                and len(self.coordinator_key) == 32 and message.voters is not None and len(message.reason.encode()) <= 1000
                and is_plain(message.reason),
                "a field of the decision is not well formed")
        self.voters = voter_set(message.voters, network)
        self.members = [member(one, "member of the decision") for one in message.members]
        for listed in ([one.account for one in self.members], message.leaving):
            require(listed == sorted(set(listed)) and all(map(is_account, listed)), "a list of the decision is not ascending")
        self.agreement = message.agreement.chain if message.agreement is not None else None
        self.rewards = message.agreement.rewards if message.agreement is not None else None
        self.hash = name("decision", network, data)


class Status:
    def __init__(self, data):
        outer = strictly("Status", data, "status")
        inner = strictly("StatusStatement", outer.statement, "status")
        require(is_account(outer.voter) and len(outer.signature) == 64 and len(inner.decision) == 32
                and len(inner.highest_block) == 32, "a field of the status is not well formed")
        self.statement, self.voter, self.signature = outer.statement, outer.voter, outer.signature
        self.decision, self.term = inner.decision, inner.term
        self.highest = (inner.highest_term, inner.highest_height)


class Opening:
    def __init__(self, data, network):
        message = strictly("Opening", data, "opening")
        self.decision = Decision(message.decision, network)
        self.statuses = [Status(one) for one in message.statuses]
        order = [(one.voter, one.signature) for one in self.statuses]
        require(order == sorted(set(order)), "the statuses do not stand in ascending order, each once")
        self.hash, self.network = name("opening", network, data), network

    def check(self, parent, in_force):
        """Does it open its term above a parent's slot, with these voter sets in force after the parent?"""
        require(self.decision.term > parent[0], f"the opening's term is not above term {parent[0]}")
        require(self.decision.term <= parent[0] + 1000, f"the opening's term is more than 1,000 above term {parent[0]}")
        counted = [set() for _ in in_force]
        for status in self.statuses:
            require(status.decision == self.decision.hash, "a status names another decision")
            require(status.term == self.decision.term, "a status is for another term")
            require(status.highest <= parent, f"a status reports a certificate at {status.highest}, above its parent")
            good = False
            for voters, counts in zip(in_force, counted):
                key = dict(voters.keys).get(status.voter)
                if key and signed(key, status.signature, "status", self.network, status.statement):
                    counts.add(status.voter)
                    good = True
            require(good, f"a status of {status.voter} is not signed by a voter of the set in force")
        for voters, counts in zip(in_force, counted):
            require(len(counts) >= voters.quorum, f"{len(counts)} statuses, a quorum is {voters.quorum}")


Rules = namedtuple("Rules", "term first coordinator key voters chain")  # first: height of the term's first block


class Terms:
    """The terms up to a block, and whose votes count after it (terms.md, "Opening")."""

    def __init__(self, genesis):
        self.newest = Rules(1, 1, genesis.coordinator, genesis.coordinator_key, genesis.voters, genesis.rules)
        self.all = {1: self.newest}
        self.in_force = self.certifying = [genesis.voters]

    def opened(self, opening, first):
        decision = opening.decision
        return Rules(decision.term, first, decision.coordinator, decision.coordinator_key, decision.voters,
                     decision.agreement or self.newest.chain)

    def needed(self, rules):
        return self.in_force if rules.voters in self.in_force else self.in_force + [rules.voters]

    def advance(self, rules, first):
        self.certifying = self.needed(rules)
        self.in_force = self.certifying if first else [rules.voters]
        self.newest = self.all[rules.term] = rules


# -- blocks
class Header:
    """A header with its signature."""

    def __init__(self, data, signature, network):
        message = strictly("BlockHeader", data, "block header")
        require(message.version == 1, "a header has another version than 1")
        require(message.network == network, "a header belongs to another network")
        hashes = (message.previous, message.log_root, message.effects_root, message.state_root, message.voters,
                  message.parent_certificate, message.opening or ZERO)
        require(all(len(one) == 32 for one in hashes) and is_account(message.proposer) and len(signature) == 64,
                "a field of a header is not well formed")
        self.fields, self.bytes, self.signature, self.network = message, data, signature, network
        self.slot, self.first = (message.term, message.height), bool(message.opening)
        self.hash = name("block", network, data)

    @classmethod
    def of(cls, message, network):
        require(message is not None, "a signed header is missing")
        return cls(message.header, message.signature, network)

    def check(self, rules):
        """Is it of the coordinator in office?"""
        require(self.fields.proposer == rules.coordinator, f"the header at {self.slot}: its proposer is not in office")
        require(self.fields.voters == rules.voters.hash, f"the header at {self.slot}: it names another voter set")
        require(signed(rules.key, self.signature, "block", self.network, self.bytes),
                f"the header at {self.slot}: the coordinator's signature is not good")


class Certificate:
    def __init__(self, data, network):
        message = strictly("Certificate", data, "certificate")
        self.slot, self.block, self.network = (message.term, message.height), message.block, network
        self.entries = [(one.voter, one.signature) for one in message.signatures]
        require(len(self.block) == 32 and all(is_account(v) and len(s) == 64 for v, s in self.entries)
                and self.entries == sorted(set(self.entries)), "the certificate is not well formed")
        self.hash = name("certificate", network, data)

    def check(self, header, sets):
        """Did a quorum of every set vote for the header?"""
        require((self.slot, self.block) == (header.slot, header.hash), f"the certificate is not that of {header.slot}")
        statement = vote_statement(self.slot, self.block)
        counted = [set() for _ in sets]
        for voter, signature in self.entries:
            keys = {dict(voters.keys).get(voter) for voters in sets} - {None}
            good = {key for key in keys if signed(key, signature, "vote", self.network, statement)}
            require(good, f"the vote of {voter} for {self.slot} is not good")
            for voters, counts in zip(sets, counted):
                if dict(voters.keys).get(voter) in good:
                    counts.add(voter)
        for voters, counts in zip(sets, counted):
            require(len(counts) >= voters.quorum, f"{len(counts)} votes for {self.slot}, a quorum is {voters.quorum}")


def vote_statement(slot, block):
    return make("VoteStatement", term=slot[0], height=slot[1], block=block).encoded()


class Envelope:
    def __init__(self, data, network):
        require(len(data) <= ENVELOPE_BYTES, "an envelope is too large")
        outer = strictly("Envelope", data, "envelope")
        self.header_bytes, self.signature, self.transactions = outer.header, outer.signature, outer.transactions
        self.header = strictly("EnvelopeHeader", outer.header, "envelope")
        require(is_account(self.header.signer) and len(self.signature) == 64 and self.header.sequence > 0,
                "a field of an envelope is not well formed")
        require(len(self.transactions) <= ENVELOPE_TRANSACTIONS, "an envelope holds too many transactions")
        require(self.transactions and len(self.transactions) == self.header.transaction_count,
                "an envelope counts other transactions than it holds")
        require(tree(self.transactions) == self.header.transactions_root,
                "the transactions of an envelope do not hash to the root that its header states")
        self.bodies = [strictly("Transaction", one, "transaction") for one in self.transactions]
        require(all(one.body() for one in self.bodies), "a transaction says nothing")
        self.id = name("envelope", network, outer.header)


class Block:
    def __init__(self, data, network):
        require(len(data) <= BLOCK_BYTES, "a block is too large")
        outer = strictly("Block", data, "block")
        self.header = Header(outer.header, outer.signature, network)
        fields = self.header.fields
        self.envelopes = [Envelope(one, network) for one in outer.envelopes]
        count = sum(len(one.transactions) for one in self.envelopes)
        require(count == fields.transaction_count, "a block counts other transactions than it holds")
        self.certificate = Certificate(outer.parent_certificate, network) if outer.parent_certificate else None
        require((self.certificate.hash if self.certificate else ZERO) == fields.parent_certificate
                and (self.certificate is None) == (fields.height == 1)
                and (self.certificate is None or self.certificate.block == fields.previous),
                "the certificate that a block carries is not that of its parent")
        self.opening = Opening(outer.opening, network) if outer.opening else None
        genesis_opens = self.header.slot == (1, 1)
        named = network if genesis_opens else self.opening.hash if self.opening else b""
        require(fields.opening == named and not (genesis_opens and self.opening)
                and (self.opening is None or self.opening.decision.term == fields.term),
                "the opening that a block carries is not the one its header names")
        self.hash = self.header.hash

    def extend(self, log):
        """Appends its transactions to the log and compares size and root."""
        for envelope in self.envelopes:
            for index, transaction in enumerate(envelope.transactions):
                log.append(log_leaf(envelope.id, index, transaction))
        require((log.size, log.root()) == (self.header.fields.log_size, self.header.fields.log_root),
                f"the block at {self.header.slot}: the log has another root")
