"""All balances of a chain, kept from its exported effects by the pages rewards.md, transactions.md and effects.md.

The effects are bound to the chain by the roots in its headers. Of each posting's amount this module works out by itself:
transfers, redemptions, claims, corrections, stakes, and of a round's close the pool, the shares of the roles, and what
developers, patients and sites get. What annotators get and lose by their answers, and how an income is divided, it takes
from the effects, checks that it is handed out to the last unit, and leaves to `tally verify`.
"""
from chain import Chain, blocks
from ledger import Refused, require, sha256, strictly, tree

MAGIC = b"tally/effects/v1\0"
UNIT = 1 << 32
DELAY = 2
LARGEST = 1 << 62
RESERVE, COMMONS = "reserve/consortium", "commons/consortium"
PAYERS, PAYEES = "external/revenue", "external/redemptions"


def apportion(pool, weights, residuals):
    """rewards.md, "Apportionment": shares by account, residuals changed; None when nobody has weight."""
    accounts, total = sorted(weights), sum(weights.values())
    if total == 0:
        return None
    dues = {one: pool * UNIT * weights[one] // total for one in accounts}
    heavy = [one for one in accounts if weights[one] > 0]
    rests = sorted(heavy, key=lambda one: (-(pool * UNIT * weights[one] % total), one))
    for one in rests[:pool * UNIT - sum(dues.values())]:
        dues[one] += 1
    owed = {one: residuals.get(one, 0) + dues[one] for one in accounts}
    paid = {one: max(0, owed[one] // UNIT) if weights[one] > 0 else 0 for one in accounts}
    ranked = sorted(heavy, key=lambda one: (-(owed[one] - paid[one] * UNIT), one))
    missing = pool - sum(paid.values())
    while missing > 0:
        for one in ranked[:missing]:
            paid[one] += 1
        missing -= min(missing, len(ranked))
    while missing < 0:
        for one in [one for one in reversed(ranked) if paid[one] > 0][:-missing]:
            paid[one] -= 1
            missing += 1
    for one in accounts:
        residuals[one] = owed[one] - paid[one] * UNIT
    return paid


class Books:
    def __init__(self, genesis):
        self.rewards = genesis.rewards
        self.available = {RESERVE: self.rewards.supply_microtokens}
        self.pending = {}  # account -> {height: amount}
        self.issued, self.revenue, self.redeemed = self.rewards.supply_microtokens, 0, 0
        self.residuals, self.waiting, self.opened, self.consents = {}, {}, {}, {}
        self.redemptions, self.claims, self.references = {}, {}, set()
        self.accepted = set()
        self.transactions = self.postings = self.derived = 0

    # -- balances
    def mature(self, account, height):
        waiting = self.pending.get(account, {})
        for due in [due for due in waiting if due <= height]:
            self.available[account] = self.available.get(account, 0) + waiting.pop(due)

    def has(self, account, height):
        self.mature(account, height)
        return self.available.get(account, 0)

    def post(self, one, height):
        require(one.microtokens > 0, f"a posting of nothing at height {height}")
        if one.debit == PAYERS:
            self.issued, self.revenue = self.issued + one.microtokens, self.revenue + one.microtokens
            require(self.issued <= LARGEST, f"more tokens than there may be at height {height}")
        elif one.debit == PAYEES:  # a payout that a quorum took back
            self.issued, self.redeemed = self.issued + one.microtokens, self.redeemed - one.microtokens
            require(self.issued <= LARGEST and self.redeemed >= 0, f"more came back than was paid out at height {height}")
        elif one.rule == "reversal/1" and one.debit.startswith("annotator/"):
            due = self.pending.get(one.debit, {})  # what the reader waits for is taken back as it waits
            require(due.get(one.available_from, 0) >= one.microtokens, f"{one.debit} does not wait for so much at height {height}")
            due[one.available_from] -= one.microtokens
        else:
            require(self.has(one.debit, height) >= one.microtokens, f"{one.debit} is below zero at height {height}")
            self.available[one.debit] -= one.microtokens
        if one.credit == PAYEES:
            self.issued, self.redeemed = self.issued - one.microtokens, self.redeemed + one.microtokens
        elif one.credit == PAYERS:  # an income that a quorum took back
            self.issued, self.revenue = self.issued - one.microtokens, self.revenue - one.microtokens
            require(self.revenue >= 0, f"more left than came in at height {height}")
        elif one.available_from:
            require(one.available_from > height, f"a pending amount of the past at height {height}")
            due = self.pending.setdefault(one.credit, {})
            due[one.available_from] = due.get(one.available_from, 0) + one.microtokens
        else:
            self.available[one.credit] = self.has(one.credit, height) + one.microtokens
        self.postings += 1

    def held(self, account):
        return self.available.get(account, 0) + sum(self.pending.get(account, {}).values())

    # -- one transaction
    def take(self, body, signer, identity, effect, height):
        self.transactions += 1
        if effect.outcome:
            require(not effect.postings, f"a rejected transaction posts at height {height}")
            return
        kind = body.body()
        content = getattr(body, kind)
        rule = getattr(self, "of_" + kind, None)
        place = f"{kind} at height {height}"
        if kind in ("round_close", "revenue_post", "correction"):
            rule(content, signer, effect.postings, height, place)
        else:
            if rule:
                expected = rule(content, signer, identity, height)
                require(shown(effect.postings) == expected, f"{place}: its postings are not what the rule says")
                self.derived += len(expected)
            for one in effect.postings:
                self.post(one, height)

    def of_transfer(self, body, signer, identity, height):
        self.once("transfer", signer if body.reference else None, body.reference)
        return [(signer, body.to, body.microtokens, "transfer/1", height + DELAY, "")]

    def once(self, kind, owner, reference):
        if owner is None:
            return
        require((kind, owner, reference) not in self.references, f"reference {reference} is used twice")
        self.references.add((kind, owner, reference))

    def of_redemption_request(self, body, signer, identity, height):
        self.redemptions[identity] = (signer, body.microtokens)
        return [(signer, "redemption-" + signer, body.microtokens, "redemption/1", 0, "")]

    def of_redemption_pay(self, body, signer, identity, height):
        require(signer == self.rewards.treasurer, f"{signer} is no treasurer at height {height}")
        self.once("redemption", "", body.reference)
        require((body.envelope, body.index) in self.accepted, f"a redemption that was not accepted is paid at height {height}")
        account, amount = self.close((body.envelope, body.index))
        return [("redemption-" + account, PAYEES, amount, "redemption/1", 0, "")]

    def of_redemption_accept(self, body, signer, identity, height):
        require(signer == self.rewards.treasurer, f"{signer} is no treasurer at height {height}")
        require((body.envelope, body.index) in self.redemptions, "a redemption is accepted that is not open")
        self.accepted.add((body.envelope, body.index))
        return []

    def of_redemption_cancel(self, body, signer, identity, height):
        free = (body.envelope, body.index) not in self.accepted
        account, amount = self.close((body.envelope, body.index))
        require(signer == self.rewards.treasurer or signer == account and free, f"{signer} cancels for another at height {height}")
        return [("redemption-" + account, account, amount, "redemption/1", height + DELAY, "")]

    def close(self, identity):
        require(identity in self.redemptions, "a redemption is paid or given up that is not open")
        return self.redemptions.pop(identity)

    def of_claim(self, body, signer, identity, height):
        inner = strictly("ClaimStatement", body.statement, "claim")
        number = self.claims.get(inner.patient, 0) + 1
        require(inner.number == number, "a claim is out of order")
        self.claims[inner.patient] = number
        account = "patient/" + inner.patient.hex()
        amount = inner.microtokens or self.has(account, height)
        return [(account, inner.to, amount, "claim/1", height + DELAY, "")]

    def of_correction(self, body, signer, postings, height, place):
        payer, receiver = body.credit, body.debit
        if body.debit == PAYERS:
            payer, receiver = RESERVE, PAYERS
        elif body.credit == PAYEES:
            receiver = body.debit.removeprefix("redemption-")
        elif body.debit.split("/")[0] in ("pool", "revenue") or body.debit.startswith("redemption-"):
            receiver = RESERVE
        for one in postings:
            passed = one.rule == "correction/1" and one.debit == payer and one.microtokens == body.returned
            named = one.corrects == f"{body.envelope.hex()}/{body.index}/{body.posting}"
            require(passed and named and one.credit == receiver, f"{place}: it takes back something else than it says")
            self.post(one, height)
            self.derived += 1
        require(len(postings) <= 1, f"{place}: it posts more than one amount")

    def of_revenue_post(self, body, signer, postings, height, place):
        require(signer == self.rewards.treasurer, f"{place}: not by the treasurer")
        self.once("revenue", "", body.reference)
        income = "revenue/" + body.reference
        for one in postings:
            self.post(one, height)
        require(shown(postings)[0] == (PAYERS, income, body.microtokens, "revenue/1", 0, ""), f"{place}: another income")
        require(self.held(income) == 0 and all(one.debit == income for one in postings[1:]),
                f"{place}: it is not handed out to the last unit")

    # -- consent, as far as waivers need it
    def of_consent_grant(self, body, signer, identity, height):
        intervals = self.consents.setdefault(body.patient, [])
        end(intervals, height)
        intervals.append([height, 0, body.not_after_height, list(body.purposes), body.waive_reward])
        return []

    def of_consent_withdraw(self, body, signer, identity, height):
        intervals = self.consents[body.patient]
        rest = [height, 0, intervals[-1][2], [one for one in intervals[-1][3] if one not in body.purposes], intervals[-1][4]]
        end(intervals, height)
        if rest[3]:
            intervals.append(rest)
        return []

    def waives(self, patient, height):
        for start, until, last, purposes, waived in self.consents.get(patient, []):
            if start <= height and (not until or height < until) and (not last or height <= last) and 1 in purposes:
                return waived
        return False

    # -- rounds
    def of_round_open(self, body, signer, identity, height):
        self.opened[body.run, body.round] = height
        return []

    def of_round_close(self, body, signer, postings, height, place):
        values = strictly("RoundValues", body.values["values"], "round's values")
        rewards, pool = self.rewards, f"pool/{body.run}.{body.round}"
        left = list(postings)

        def expect(debit, credit, amount, due):
            if amount == 0:
                return
            require(left and shown(left[:1])[0] == (debit, credit, amount, "split/1", due, ""),
                    f"{place}: not {amount} from {debit} to {credit}")
            self.post(left.pop(0), height)
            self.derived += 1

        amount = min(rewards.round_pool_microtokens, self.has(RESERVE, height))
        expect(RESERVE, pool, amount, 0)
        points = {"role/annotators": rewards.annotators_basis_points, "role/developers": rewards.developers_basis_points,
                  "role/patients": rewards.patients_basis_points, "role/sites": rewards.sites_basis_points}
        shares = self.divide(amount, points, "roles") or {}
        for role in ("annotators", "developers", "patients", "sites"):
            share = shares.get("role/" + role, 0)
            if role in self.waiting:
                waited, earlier = self.waiting.pop(role)
                expect(earlier, pool, waited, 0)
                share += waited
            paid = getattr(self, "pay_" + role)(share, pool, body, values, height, left, expect, place)
            if not paid and share:
                self.waiting[role] = (share, pool)
        require(not left, f"{place}: it posts more than the rule says")
        stays = sum(amount for amount, where in self.waiting.values() if where == pool)
        require(self.held(pool) == stays, f"{place}: the pool is not handed out to the last unit")

    def divide(self, pool, weights, role):
        return apportion(pool, weights, self.residuals.setdefault(role, {}))

    def pay_annotators(self, share, pool, body, values, height, left, expect, place):
        """By weights that the chain's answers make: taken from the effects, to the last unit."""
        paid = 0
        while left and left[0].debit == pool and left[0].credit.startswith("annotator/"):
            require(left[0].available_from == height + self.rewards.appeal_window, f"{place}: pay without its window")
            paid += left[0].microtokens
            self.post(left.pop(0), height)
        require(paid in (0, share), f"{place}: annotators are paid {paid} of {share}")
        while left and left[0].rule == "pay/1":
            require(left[0].debit.replace("stake/", "appeal/") == left[0].credit, f"{place}: a penalty of another kind")
            self.post(left.pop(0), height)
        return paid > 0

    def pay_developers(self, share, pool, body, values, height, left, expect, place):
        paid = self.divide(share, {one.account: one.weight for one in self.rewards.developers}, "developers")
        for account in sorted(paid or {}):
            expect(pool, account, paid[account], height + DELAY)
        return paid is not None

    def pay_patients(self, share, pool, body, values, height, left, expect, place):
        weights = {"patient/" + one.patient.hex(): one.records for one in values.patients}
        opened = self.opened[body.run, body.round]
        waived = {"patient/" + one.patient.hex() for one in values.patients if self.waives(one.patient, opened)}
        paid = self.divide(share, weights, "patients")
        for account in sorted(paid or {}):
            gives = account in waived
            expect(pool, COMMONS if gives else account, paid[account], 0 if gives else height + DELAY)
        return paid is not None

    def pay_sites(self, share, pool, body, values, height, left, expect, place):
        counts = {one.site: one.verified for one in values.sites}
        worth = {one.site: max(0, one.shapley) for one in values.sites}
        alone = body.round <= self.rewards.warm_up_rounds or not any(worth.values())
        half = 0 if alone else share // 2
        by_count = self.divide(share - half, counts, "sites/count")
        if by_count is None:
            return False
        by_value = {} if alone else self.divide(half, worth, "sites/value")
        for account in sorted(counts):
            expect(pool, account, by_count[account] + by_value.get(account, 0), height + DELAY)
        return True

    def of_member_enrol(self, body, signer, identity, height):
        account = strictly("MemberDocument", strictly("SignedMember", body.member, "member").document, "member").account
        stake = self.rewards.stake_microtokens
        if not account.startswith("annotator/") or not stake:
            return []
        return [(RESERVE, "stake/" + account.split("/")[1], stake, "stake/1", 0, "")]

    def of_member_revoke(self, body, signer, identity, height):
        account = body.account
        stake = "stake/" + account.split("/")[1]
        left = self.held(stake) if account.startswith("annotator/") else 0
        return [(stake, RESERVE, left, "stake/1", 0, "")] if left else []

    def finish(self):
        held = sum(map(self.held, set(self.available) | set(self.pending)))
        require(held == self.issued, f"all accounts hold {held}, issued are {self.issued}")
        for role, units in self.residuals.items():
            require(sum(units.values()) == 0, f"the residuals of {role} do not sum to 0")


def end(intervals, height):
    if intervals and not intervals[-1][1]:
        if intervals[-1][0] == height:
            intervals.pop()
        else:
            intervals[-1][1] = height


def shown(postings):
    return [(one.debit, one.credit, one.microtokens, one.rule, one.available_from, one.corrects) for one in postings]


def effects(data, network):
    require(data[:len(MAGIC)] == MAGIC and data[len(MAGIC):len(MAGIC) + 32] == network,
            "the file holds no effects, or those of another network")
    place = len(MAGIC) + 32
    while place < len(data):
        size = int.from_bytes(data[place:place + 4], "big")
        require(place + 4 + size <= len(data), "the file ends inside an effect")
        yield data[place + 4:place + 4 + size]
        place += 4 + size


def check(data, effect_data, genesis):
    """Keeps the books of the blocks whose effects are there; raises Refused at the first fault."""
    chain, books = Chain(genesis), Books(genesis)
    following = effects(effect_data, genesis.network)
    for block in blocks(data, genesis.network):
        chain.append(block)
        if block.opening and block.opening.decision.rewards is not None:
            books.rewards = block.opening.decision.rewards
        leaves = []
        for _ in range(block.header.fields.transaction_count):
            one = next(following, None)
            if one is None:
                break
            leaves.append(one)
        if len(leaves) < block.header.fields.transaction_count:
            require(not leaves, "the effects end inside a block")
            break  # blocks above the settled ones
        height = block.header.slot[1]
        root = tree(leaves) if leaves else sha256(b"")
        require(root == block.header.fields.effects_root, f"the effects at height {height} hash to another root")
        place = iter(leaves)
        for envelope in block.envelopes:
            for index, body in enumerate(envelope.bodies):
                effect = strictly("Effect", next(place), "effect")
                require((effect.envelope, effect.index) == (envelope.id, index), "an effect is of another transaction")
                books.take(body, envelope.header.signer, (envelope.id, index), effect, height)
        books.height = height
    require(next(following, None) is None, "there are more effects than transactions")
    books.finish()
    return books


__all__ = ["Refused", "check"]
