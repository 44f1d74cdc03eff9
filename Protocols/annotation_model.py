#!/usr/bin/env python3
"""Measurements, boxes and masks: the reference semantics of their rules in annotation/1 and pay/1; and drawn panels.

    python3 annotation_model.py > ../Tests/Vectors/answer_vectors.json

Python ints only; every division floors. Slow and obvious on purpose: a mask is a set of pixels here, while the
contracts judge it on run lengths. Lengths and measurements are in thousandths of their unit.
"""
import hashlib
import json
import random

FEE_PERMILLE, MINIMUM_ANSWERS, GOLD_MULTIPLICITY = 20, 30, 8


def lower_median(values, weights):
    """The first value, ascending, at which twice the weight so far reaches the whole; None without weight."""
    total, below = sum(weights), 0
    for value, weight in sorted(zip(values, weights)):
        below += weight
        if total and 2 * below >= total:
            return value
    return None


class Measurement:
    """An answer is an int, in thousandths."""

    def __init__(self, absolute, relative_permille, minimum=3, share=(2, 3)):
        self.absolute, self.relative, self.minimum, self.share = absolute, relative_permille, minimum, share

    def tolerance(self, reference):
        return max(self.absolute, self.relative * abs(reference) // 1000)

    def reference(self, answers, weights):
        return lower_median(answers, weights)

    def agreement(self, own, reference):
        """1000 when equal, 0 from twice the tolerance and one thousandth on, and a line between."""
        width = 2 * self.tolerance(reference) + 1
        return max(0, width - abs(own - reference)) * 1000 // width

    def consensus(self, answers):
        if len(answers) < self.minimum:
            return "tooFew", None
        median = lower_median(answers, [1] * len(answers))
        near = sum(abs(a - median) <= self.tolerance(median) for a in answers)
        good = near >= self.minimum and near * self.share[1] >= self.share[0] * len(answers)
        return ("approved", median) if good else ("disputed", None)


def iou(one, other):
    """Millionths of intersection over union of (class, left, top, right, bottom); 0 for two classes."""
    if one[0] != other[0]:
        return 0
    width = min(one[3], other[3]) - max(one[1], other[1])
    height = min(one[4], other[4]) - max(one[2], other[2])
    if width <= 0 or height <= 0:
        return 0
    both = width * height
    area = lambda b: (b[3] - b[1]) * (b[4] - b[2])
    return 10**6 * both // (area(one) + area(other) - both)


class Boxes:
    """An answer is (size, boxes): the image's (width, height) in pixels and boxes ascending, each once."""

    def __init__(self, overlap_permille=500, agreement_permille=700, minimum=3):
        self.overlap, self.good, self.minimum = overlap_permille * 1000, agreement_permille, minimum

    def reference(self, answers, weights):
        """Clusters around the best supported boxes, held by half of the weight, as medians of their edges."""
        total = sum(weights)
        if total == 0:
            return None
        flat = [(reader, box) for reader, (_, boxes) in enumerate(answers) for box in boxes]
        support = []
        for reader, box in flat:
            near = {r for r, b in flat if r != reader and iou(box, b) >= self.overlap}
            support.append(sum(weights[r] for r in near | {reader}))
        free, found = set(range(len(flat))), set()
        for seed in sorted(range(len(flat)), key=lambda i: (-support[i], i)):
            if seed not in free:
                continue
            cluster = [seed]
            for reader in range(len(answers)):
                near = [i for i in sorted(free) if flat[i][0] == reader and reader != flat[seed][0]
                        and iou(flat[seed][1], flat[i][1]) >= self.overlap]
                if near:
                    cluster.append(max(near, key=lambda i: (iou(flat[seed][1], flat[i][1]), -i)))
            free -= set(cluster)
            held = [weights[flat[i][0]] for i in cluster]
            if 2 * sum(held) >= total:
                edges = [lower_median([flat[i][1][e] for i in cluster], held) for e in range(1, 5)]
                found.add((flat[seed][1][0], *edges))
        return answers[0][0], sorted(found)

    def agreement(self, own, reference):
        """Twice the matched overlap over the boxes of both, in per mille; the reference is fitted to the own image."""
        (size, boxes), others = own, self.fitted(reference, own[0])
        if not boxes and not others:
            return 1000
        pairs = sorted((-iou(b, o), i, j) for i, b in enumerate(boxes) for j, o in enumerate(others)
                       if iou(b, o) >= self.overlap)
        left, right, overlap = set(), set(), 0
        for value, i, j in pairs:
            if i not in left and j not in right:
                left.add(i)
                right.add(j)
                overlap -= value
        return 2 * overlap // (1000 * (len(boxes) + len(others)))

    @staticmethod
    def fitted(reference, size):
        (width, height), boxes = reference
        if (width, height) == size:
            return boxes
        fitted = set()
        for kind, *edges in boxes:
            left, top, right, bottom = (e * size[n % 2] // (width, height)[n % 2] for n, e in enumerate(edges))
            if left < right and top < bottom:
                fitted.add((kind, left, top, right, bottom))
        return sorted(fitted)

    def consensus(self, answers):
        if len(answers) < self.minimum:
            return "tooFew", None
        reference = self.reference(answers, [1] * len(answers))
        good = sum(self.agreement(a, reference) >= self.good for a in answers)
        return ("approved", reference) if good >= len(answers) // 2 + 1 else ("disputed", None)


class Masks:
    """An answer is (size, pixels): (width, height) and the set of (column, row) inside."""

    def __init__(self, dice_permille=800, minimum=3):
        self.good, self.minimum = dice_permille, minimum

    def reference(self, answers, weights):
        """The pixels that more than half of the weight has."""
        total = sum(weights)
        if total == 0:
            return None
        votes = {}
        for (_, pixels), weight in zip(answers, weights):
            for pixel in pixels:
                votes[pixel] = votes.get(pixel, 0) + weight
        return answers[0][0], frozenset(p for p, w in votes.items() if 2 * w > total)

    def agreement(self, own, reference):
        """Dice in per mille; the reference is fitted to the own image, nearest pixel by nearest pixel."""
        mine, other = own[1], self.fitted(reference, own[0])
        if not mine and not other:
            return 1000
        return 2000 * len(mine & other) // (len(mine) + len(other))

    @staticmethod
    def fitted(reference, size):
        (width, height), pixels = reference
        if (width, height) == size:
            return pixels
        return {(x, y) for x in range(size[0]) for y in range(size[1])
                if ((2 * x + 1) * width // (2 * size[0]), (2 * y + 1) * height // (2 * size[1])) in pixels}

    def consensus(self, answers):
        if len(answers) < max(2, self.minimum):
            return "tooFew", None
        one = [1] * len(answers)
        dice = [self.agreement(a, self.reference(answers[:i] + answers[i + 1:], one[1:])) for i, a in enumerate(answers)]
        good = sorted(dice)[(len(dice) - 1) // 2] >= self.good
        return ("approved", self.reference(answers, one)) if good else ("disputed", None)


def graded(rows, rule):
    """rows [(own, reference)] in the order of their items -> (n, agreed, chance).

    The chance term is the agreement with the next row's reference, the last row's next being the first: whoever gives
    one answer to everything has the same sum in both, so a fixed template nets exactly 0.
    """
    agreed = sum(rule.agreement(own, reference) for own, reference in rows)
    chance = sum(rule.agreement(own, rows[(i + 1) % len(rows)][1]) for i, (own, _) in enumerate(rows))
    return len(rows), agreed, chance


def kappa_permille(n, agreed, chance):
    return 1000 * (agreed - chance) // (1000 * n - chance) if 1000 * n > chance else 0


def period(items, rule, gold=None, carried=None, rulings=None):
    """items {item: {reader: answer}} (approved, first wave), gold {item: truth} -> {reader: result}.

    carried {reader: (answers, n, agreed, chance)}. Gold rows form a cycle of their own and count eight times.
    rulings {item: label}: what seniors said instead; of items without gold it is everybody's reference.
    """
    gold, carried, rulings = gold or {}, carried or {}, rulings or {}
    weight = {r: 1 for i in items for r in items[i]}
    tests = {r: graded([(items[i][r], gold[i]) for i in sorted(items) if i in gold and r in items[i]], rule)
             for r in weight}
    if gold:
        weight = {r: max(0, kappa_permille(*tests[r])) * tests[r][0] // (tests[r][0] + 10) for r in weight}
    sums = {r: list(carried.get(r, (0, 0, 0, 0))) for r in set(weight) | set(carried)}
    for r in weight:
        rows = []
        for i in sorted(items):
            if r in items[i] and i not in gold:
                others = sorted(o for o in items[i] if o != r)
                reference = rulings[i] if i in rulings else rule.reference(
                    [items[i][o] for o in others], [weight[o] for o in others])
                if reference is not None:
                    rows.append((items[i][r], reference))
        sums[r][0] += sum(r in items[i] for i in items)
        for part, times in ((graded(rows, rule), 1), (tests[r], GOLD_MULTIPLICITY)):
            for k in range(3):
                sums[r][k + 1] += times * part[k]
    rated = [r for r in sums if sums[r][0] >= MINIMUM_ANSWERS and sums[r][1] > 0]
    points = {r: 1000 * (sums[r][2] - sums[r][3]) for r in rated}
    rates = sorted(points[r] // sums[r][1] for r in rated)
    fee = max(0, rates[(len(rates) - 1) // 2] * FEE_PERMILLE // 1000) if rates else 0
    result = {}
    for r in sorted(sums):
        answers, n, agreed, chance = sums[r]
        result[r] = dict(answers=answers, n=n, agreed=agreed, chance=chance, weight=None)
        if r in points:
            cost = n * fee
            result[r].update(points=points[r], fee=cost, weight=max(0, points[r] - cost),
                             shortfall=max(0, cost - points[r]))
    return result


def corrected(before, after):
    """What a closed period's results become: the sums of `after`, the fee of a row as it was; who was not rated is not.

    before, after as ``period`` gives them, without and with what seniors ruled since the close.
    """
    result = {}
    for r, new in after.items():
        result[r] = {k: new[k] for k in ("answers", "n", "agreed", "chance")} | dict(weight=None)
        if before.get(r, new)["weight"] is not None and r in before:
            points = 1000 * (new["agreed"] - new["chance"])
            cost = new["n"] * (before[r]["fee"] // before[r]["n"])
            result[r].update(points=points, fee=cost, weight=max(0, points - cost), shortfall=max(0, cost - points))
    return result


def settled(before, after, share, stake):
    """One round that paid `before`, and is corrected to `after` -> {reader: (moved, penalty, penalty after)}.

    moved is what the reader has more, in microtokens; stake what each had when the round closed.
    """
    total = sum(r["weight"] or 0 for r in before.values())
    part = lambda points: share * points // total
    result = {}
    for reader, was in before.items():
        if was["weight"] is not None:
            now = after[reader]
            charged = min(stake, part(was["shortfall"]))
            result[reader] = [part(now["weight"]) - part(was["weight"]), charged, min(stake, part(now["shortfall"]))]
    return result


# Vectors. A mask travels as [width, height, runs]: column by column, outside first, as in COCO.

def runs(answer):
    (width, height), pixels = answer
    lengths, inside = [0], False
    for x in range(width):
        for y in range(height):
            if ((x, y) in pixels) != inside:
                lengths.append(0)
                inside = not inside
            lengths[-1] += 1
    return [width, height, lengths]


def written(kind, answer):
    if answer is None:
        return None
    return answer if kind == "measurement" else runs(answer) if kind == "masks" else [*answer[0], answer[1]]


def drawn_case(kind, rng, readers, count, sizes):
    """Items with a hidden truth that every reader blurs by a habit of its own; the last reader gives a template."""
    items = {}
    template = {}
    for number in range(count):
        size = sizes[number % len(sizes)]
        names = sorted(rng.sample(range(readers - 1), min(readers - 1, rng.choice([2, 3, 4, 4])))) + [readers - 1]
        x, y = rng.randrange(size[0] // 3), rng.randrange(size[1] // 3)
        w, h = rng.randrange(4, size[0] // 2), rng.randrange(4, size[1] // 2)
        value = rng.randrange(-20_000, 60_000)
        answers = {}
        for reader in names:
            blur = lambda: rng.randrange(-1 - reader // 3, 2 + reader // 3)
            left, top = max(0, x + blur()), max(0, y + blur())
            right, bottom = min(size[0], max(left + 1, x + w + blur())), min(size[1], max(top + 1, y + h + blur()))
            if kind == "measurement":
                answer = value + rng.randrange(-600, 601) * (1 + reader)
                answer = template.setdefault(0, 20_000) if reader == readers - 1 else answer
            elif kind == "boxes":
                boxes = {(1 + (number + k) % 2, 1000 * left + 250 * k, 1000 * top, 1000 * right, 1000 * bottom)
                         for k in range(1 + number % 3)} if number % 7 else set()
                if rng.randrange(6) == 0:
                    boxes.add((1, 0, 0, 1000 * rng.randrange(1, size[0]), 1000 * rng.randrange(1, size[1])))
                answer = (size, sorted(boxes))
                if reader == readers - 1:
                    answer = (size, [(1, 1000, 1000, 9000, 9000)])
            else:
                pixels = {(i, j) for i in range(left, right) for j in range(top, bottom) if (i * j) % 11}
                answer = (size, frozenset(pixels if number % 9 else ()))
                if reader == readers - 1:
                    answer = (size, frozenset((i, j) for i in range(2, 9) for j in range(1, 10)))
            answers[reader] = answer
        items[number] = answers
    return items


def drawn_ruling(kind, rng, items, item):
    """A label of seniors: what a reader of another item said there, as far as it fits this image."""
    other = rng.choice([i for i in items if i != item and len(items[i]) > 2])
    answer = sorted(items[other].items())[rng.randrange(2)][1]
    if kind == "measurement":
        return answer
    size = next(iter(items[item].values()))[0]
    fitted = Boxes.fitted(answer, size) if kind == "boxes" else frozenset(Masks.fitted(answer, size))
    return size, fitted


def texts(results):
    return {str(r): v for r, v in results.items()}


def framed(*fields):
    """SHA-256 over fields, each framed by its length."""
    return hashlib.sha256(b"".join(len(f).to_bytes(8, "big") + f for f in fields)).digest()


def seed_commitment(network, item, secret):
    return framed(b"tally/seed-secret/v1", network, item, secret)


def panel_seed(network, item, secret, beacon):
    return framed(b"tally/panel-seed/v1", network, item, secret, beacon)


def draw_order(candidates, seed, given=()):
    """candidates {account: organisation}, given {organisation: readers it has} -> accounts in the order they are asked.

    None of an organisation comes before every other organisation has given as many.
    """
    given, ranked = dict(given), []
    for place, account in enumerate(sorted(candidates, key=lambda a: (framed(b"tally/panel/v1", seed, a.encode()), a))):
        organisation = candidates[account]
        ranked.append((given.get(organisation, 0), place, account))
        given[organisation] = given.get(organisation, 0) + 1
    return [account for _, _, account in sorted(ranked)]


def check_panels():
    """The values that annotation.md states and Tests/ContractsTests/PanelTests.swift asks for."""
    network, item, secret = b"\x11" * 32, b"north/n0001", b"\x22" * 32
    seed = panel_seed(network, item, secret, b"\x33" * 32)
    assert seed_commitment(network, item, secret).hex().startswith("9b51b73c7fb95c71")
    assert seed.hex().startswith("40869c291468b7df")
    candidates = {f"annotator/{o}-{n}": f"site/{o}" for n in range(1, 5) for o in "abc"}
    order = draw_order(candidates, seed, {"site/a": 1})
    assert " ".join(a.split("/")[1] for a in order) == "c-2 b-3 a-2 b-2 c-3 a-3 b-4 c-4 a-1 b-1 c-1 a-4"
    # Without a bias: each of the four readers of an organisation is its one a quarter of the time.
    seen = dict.fromkeys(candidates, 0)
    for number in range(2000):
        panel = draw_order(candidates, number.to_bytes(32, "big"))[:3]
        assert len({candidates[a] for a in panel}) == 3
        for account in panel:
            seen[account] += 1
    assert all(420 < count < 580 for count in seen.values()), seen


def main():
    check_panels()
    cases = []
    for kind, rule, shown in (
            ("measurement", Measurement(1500, 100), dict(absolute=1500, relative=100)),
            ("boxes", Boxes(), {}), ("masks", Masks(), {})):
        for name, sizes in (("one size", [(32, 24)]), ("many sizes", [(32, 24), (24, 32), (46, 18), (20, 51)])):
            rng = random.Random(f"{kind} {name}")
            items = drawn_case(kind, rng, 6, 60, sizes)
            gold = {i: rule.reference([a for _, a in sorted(items[i].items())][:-1], [1] * (len(items[i]) - 1))
                    for i in range(0, 60, 5)}
            results = dict(plain=period(items, rule), gold=period(items, rule, gold),
                           carried=period({i: items[i] for i in range(12)}, rule,
                                          carried={r: (20 + r, 18, 15_000 - 1000 * r, 9000) for r in range(4)}))
            share = 300_000
            rulings = {i: drawn_ruling(kind, rng, items, i) for i in (3, 17, 18, 40, 59)}
            late = (17, 40)  # without consensus at the close
            reversals = []
            # Everybody is rated; the same with gold; some have less than 30 answers and carry their rows.
            for truths, count, stake in (({}, 60, 1_750), (gold, 60, 150_000), ({}, 49, 150_000)):
                few = {i: items[i] for i in range(count)}
                was = period({i: few[i] for i in few if i not in late}, rule, truths)
                ruled = {i: rulings[i] for i in rulings if i in few}
                now = period(few, rule, truths, rulings=ruled)
                # Gold that had no label at the close makes no rows after it.
                late_gold = set(late) & set(truths)
                after = corrected(was, period(
                    {i: few[i] for i in few if i not in late_gold}, rule, truths, rulings=ruled))
                reversals.append(dict(
                    gold=bool(truths), items=count, stake=stake, before=texts(was), open=texts(now),
                    after=texts(after), money=texts(settled(was, after, share, stake))))
            outcomes = []
            for i in items:
                outcome, label = rule.consensus([a for _, a in sorted(items[i].items())])
                outcomes.append([outcome, written(kind, label)])
            cases.append(dict(
                kind=kind, name=name, **shown,
                items=[[[r, written(kind, a)] for r, a in sorted(items[i].items())] for i in items],
                gold=[[i, written(kind, gold[i])] for i in gold], outcomes=outcomes,
                rulings=[[i, written(kind, rulings[i])] for i in rulings], late=late, share=share,
                reversals=reversals, results={k: texts(results[k]) for k in results}))
    print("{\"cases\": [\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]}")


if __name__ == "__main__":
    main()
