#!/usr/bin/env python3
"""Check a run on the lung nodules against an independent computation in double precision.

Everything is computed again from readings.csv, with the Python standard library alone: the partition, the consensus,
the features, FedAvg over the three hospitals, and what the twelve seats earn. No code is shared with the program.

Exit: 0 when every parameter of every round agrees, 2 when one does not, 1 for input that cannot be used, 64 for a
mistake on the command line.
"""
import argparse
import csv
import hashlib
import json
import math
import os
import re
import struct
import sys

HOSPITALS = ["east", "north", "west"]  # ascending, the order in which updates are added
GRADES = ["subtlety", "internal_structure", "calcification", "sphericity", "margin", "lobulation", "spiculation",
          "texture"]
FEATURES = GRADES + ["diameter", "volume"]
COLUMNS = ["patient", "study", "nodule", "reader", "diameter_mm", "volume_mm3"] + GRADES + ["malignancy"]
LOCAL_STEPS = 5
LEARNING_RATE = 0.2  # below 2 / 5.2, the curvature bound of the steepest hospital, so no step overshoots
ROUNDS = 20
TOLERANCE = 1e-4
MINIMUM_ANSWERS = 30  # pay/1: below this, rows carry over to the next period
FEE_PERMILLE = 20
TOP = 4  # the largest agreement of two grades out of five


class Unusable(Exception):
    """Input that cannot be checked; the text says what, where and what to do."""


# ---- The raw table ---------------------------------------------------------------------------------------------------


def lower_median(values):
    return sorted(values)[(len(values) - 1) // 2]


def read_table(path):
    """The readings by nodule: {(patient, study, nodule): {reader: row}}."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            missing = [c for c in COLUMNS if c not in (table.fieldnames or [])]
            if missing:
                raise Unusable(f"{path}, line 1: the column {missing[0]} is missing; use the table of readings.")
            nodules = {}
            for row in table:
                where = f"{path}, line {table.line_num}"
                key, reader, reading = parsed(row, where)
                if reader in nodules.setdefault(key, {}):
                    raise Unusable(f"{where}: a second reading by reader {reader} of one nodule; keep one of the two.")
                nodules[key][reader] = reading
    except OSError as error:
        raise Unusable(f"{path} cannot be read ({error.strerror}); name the table with --readings.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unusable(f"{path} is not a CSV table in UTF-8 ({error}); export it again.") from error
    if not nodules:
        raise Unusable(f"{path} holds no readings; name another table with --readings.")
    return nodules


def parsed(row, where):
    reading = {}
    if None in row or None in row.values():
        raise Unusable(f"{where}: the row and the header differ in length; mend the row.")
    for column in COLUMNS[1:]:
        try:
            value = float(row[column]) if column.endswith(("_mm", "_mm3")) else int(row[column])
        except ValueError:
            raise Unusable(f"{where}: {column} is “{row[column]}”, not a number; mend the row.") from None
        upper = {"calcification": 6, "reader": 4, "study": math.inf, "nodule": math.inf, "diameter_mm": math.inf,
                 "volume_mm3": math.inf}.get(column, 5)
        if not (0 < value <= upper and math.isfinite(value)):
            raise Unusable(f"{where}: {column} is {row[column]}, out of range; mend the row.")
        reading[column] = value
    return (row["patient"], reading["study"], reading["nodule"]), reading["reader"], reading


def placement(patient):
    """(hospital, held out) of a patient."""
    digest = hashlib.sha256(patient.encode()).hexdigest()
    share = int(digest[8:16], 16) % 100
    return "north" if share < 55 else "east" if share < 85 else "west", int(digest[:8], 16) % 100 < 20


def consensus(answers):
    """("approved", grade), ("disputed", None) or ("tooFew", None) of a nodule's grades 1 to 5."""
    if len(answers) < 3:
        return "tooFew", None
    median = lower_median(answers)
    near = sum(abs(a - median) <= 1 for a in answers)
    if 3 * near >= 2 * len(answers) and max(answers) - min(answers) <= 2:
        return "approved", median
    return "disputed", None


def features(readings):
    """The ten values of a record, with the seven digits that records.csv keeps."""
    values = [lower_median([r[g] for r in readings]) - 3 for g in GRADES]
    values.append((math.log(lower_median([r["diameter_mm"] for r in readings])) - 2) / 0.5)
    values.append((math.log(lower_median([r["volume_mm3"] for r in readings])) - 6) / 1.5)
    return [float(f"{v:.7g}") for v in values]


class Study:
    """The nodules by hospital, their outcomes, and one question's records as (features, label)."""

    def __init__(self, nodules, question):
        self.items = {"approved": 0, "disputed": 0, "tooFew": 0}
        self.nodules = {h: 0 for h in sorted(HOSPITALS)}
        self.readings = sum(map(len, nodules.values()))
        self.training = {h: [] for h in HOSPITALS}
        self.held_out = []
        self.panels = []  # approved items: {seat: grade - 1}
        for key in sorted(nodules):
            readings = nodules[key]
            hospital, held_out = placement(key[0])
            outcome, grade = consensus([r["malignancy"] for r in readings.values()])
            self.nodules[hospital] += 1
            self.items[outcome] += 1
            if outcome != "approved":
                continue
            self.panels.append({f"{hospital}-{n}": r["malignancy"] - 1 for n, r in readings.items()})
            if grade == 3 and question == "above-below-three":
                continue
            record = features(list(readings.values())), int(grade > 3)
            (self.held_out if held_out else self.training[hospital]).append(record)
        for name, records in [*self.training.items(), ("the held-out patients", self.held_out)]:
            if len({label for _, label in records}) < 2:
                raise Unusable(f"{name}: not both answers among the records; use a larger table of readings.")

    def counts(self):
        return {
            "items": self.items, "nodules": self.nodules, "readings": self.readings,
            "training": {h: len(r) for h, r in self.training.items()},
            "trainingRecords": sum(map(len, self.training.values())),
            "trainingAbove": sum(label for r in self.training.values() for _, label in r),
            "heldOutRecords": len(self.held_out),
            "heldOutAbove": sum(label for _, label in self.held_out),
        }


# ---- Logistic regression ---------------------------------------------------------------------------------------------


def logit(parameters, x):
    return parameters[0] + sum(w * v for w, v in zip(parameters[1:], x))


def probability(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def gradient(parameters, records):
    """The mean logistic loss's gradient; the bias comes first."""
    total = [0.0] * len(parameters)
    for x, label in records:
        residual = probability(logit(parameters, x)) - label
        total[0] += residual
        for i, value in enumerate(x, 1):
            total[i] += residual * value
    return [t / len(records) for t in total]


def score(parameters, records):
    """(AUC, accuracy, mean log loss); a tie counts half, a logit above 0 answers yes."""
    logits = [logit(parameters, x) for x, _ in records]
    yes = [z for z, (_, label) in zip(logits, records) if label]
    no = [z for z, (_, label) in zip(logits, records) if not label]
    doubled = sum(2 if p > n else int(p == n) for p in yes for n in no)
    right = sum((z > 0) == bool(label) for z, (_, label) in zip(logits, records))
    loss = math.fsum(
        max(z, 0) - z * label + math.log1p(math.exp(-abs(z))) for z, (_, label) in zip(logits, records))
    return doubled / (2 * len(yes) * len(no)), right / len(records), loss / len(records)


def fedavg(sites, rounds, steps, rate):
    """The global parameters, bias first, after each round."""
    parameters, history = [0.0] * (1 + len(FEATURES)), []
    total = sum(len(sites[h]) for h in HOSPITALS)
    for _ in range(rounds):
        sums = [0.0] * len(parameters)
        for hospital in HOSPITALS:
            local = list(parameters)
            for _ in range(steps):
                local = [p - rate * g for p, g in zip(local, gradient(local, sites[hospital]))]
            sums = [s + len(sites[hospital]) * (l - p) for s, l, p in zip(sums, local, parameters)]
        parameters = [p + s / total for p, s in zip(parameters, sums)]
        history.append(parameters)
    return history


def pooled(records):
    """The parameters at the lowest mean log loss over all records, as if nothing were federated: Newton's method.

    It stops when the loss no longer falls by 1e-9, not when the parameters rest: a characteristic that only nodules of
    one answer show has no best weight, it can always grow.
    """
    size = 1 + len(FEATURES)
    parameters, loss = [0.0] * size, math.log(2)
    while True:
        curvature = [[0.0] * size for _ in range(size)]
        for x, _ in records:
            p, row = probability(logit(parameters, x)), [1.0] + x
            for i in range(size):
                for j in range(size):
                    curvature[i][j] += p * (1 - p) * row[i] * row[j] / len(records)
        step, length = solved(curvature, gradient(parameters, records)), 1.0
        next_loss = math.inf
        while next_loss >= loss and length > 1e-6:
            moved = [p - length * s for p, s in zip(parameters, step)]
            next_loss, length = score(moved, records)[2], length / 2
        if next_loss > loss - 1e-9:
            return parameters
        parameters, loss = moved, next_loss


def solved(matrix, right):
    """Gaussian elimination with row exchange; the tiny diagonal term keeps a constant column solvable."""
    rows = [[v + (1e-12 if i == j else 0) for j, v in enumerate(row)] + [r]
            for i, (row, r) in enumerate(zip(matrix, right))]
    for i in range(len(rows)):
        best = max(range(i, len(rows)), key=lambda k: abs(rows[k][i]))
        rows[i], rows[best] = rows[best], rows[i]
        for k in range(i + 1, len(rows)):
            factor = rows[k][i] / rows[i][i]
            rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i])]
    answer = [0.0] * len(rows)
    for i in reversed(range(len(rows))):
        known = sum(rows[i][j] * answer[j] for j in range(i + 1, len(rows)))
        answer[i] = (rows[i][-1] - known) / rows[i][i]
    return answer


# ---- Pay, rule pay/1 without gold ------------------------------------------------------------------------------------


def pay(panels):
    """{seat: answers, points, fee, weight, shortfall} in micro-points; weight None below 30 answers."""
    rows, answers = {}, {}
    for panel in panels:
        for seat, own in panel.items():
            answers[seat] = answers.get(seat, 0) + 1
            others = [grade for other, grade in panel.items() if other != seat]
            if others:
                rows.setdefault(seat, []).append((own, lower_median(others)))
    rated = [s for s in sorted(rows) if answers[s] >= MINIMUM_ANSWERS]
    points = {}
    for seat in rated:
        n = len(rows[seat])
        agreed = sum(TOP - abs(a - b) for a, b in rows[seat])
        chance = sum(TOP - abs(a - b) for a, _ in rows[seat] for _, b in rows[seat])
        points[seat] = 10**6 * (n * agreed - chance) // (n * TOP)
    median = lower_median([points[s] // len(rows[s]) for s in rated]) if rated else 0
    fee = max(0, median * FEE_PERMILLE // 1000)
    result = {}
    for seat in sorted(answers):
        result[seat] = {"answers": answers[seat], "weight": None}
        if seat in points:
            cost = len(rows[seat]) * fee
            result[seat].update(n=len(rows[seat]), points=points[seat], fee=cost,
                                weight=max(0, points[seat] - cost), shortfall=max(0, cost - points[seat]))
    return result


# ---- The run's models ------------------------------------------------------------------------------------------------


def read_models(folder, rounds):
    """The parameters, bias first, of round-001.safetensors and its successors; exactly `rounds` of them."""
    try:
        names = sorted(n for n in os.listdir(folder) if n.endswith(".safetensors"))
    except OSError as error:
        raise Unusable(f"{folder} cannot be read ({error.strerror}); name the models' folder.") from error
    expected = [f"round-{r:03d}.safetensors" for r in range(1, rounds + 1)]
    for name in expected:
        if name not in names:
            raise Unusable(f"{folder} lacks {name}; export every round, or say how many there are with --rounds.")
    for name in names:
        if re.fullmatch(r"round-\d+\.safetensors", name) and name not in expected:
            raise Unusable(f"{folder} also holds {name}; say how many rounds there are with --rounds.")
    return [read_model(os.path.join(folder, name)) for name in expected]


def read_model(path):
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise Unusable(f"{path} cannot be read ({error.strerror}); export the model again.") from error
    if len(data) < 8 or (size := struct.unpack_from("<Q", data)[0]) > len(data) - 8:
        raise Unusable(f"{path} is not safetensors (its header is cut short); export the model again.")
    try:
        header = json.loads(data[8:8 + size])
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise Unusable(f"{path} is not safetensors (its header is no JSON object); export the model again.")
    strangers = sorted(set(header) - {"bias", "weight", "__metadata__"})
    if strangers:
        raise Unusable(f"{path} holds the tensor {strangers[0]} besides bias and weight; it is another model.")
    bias = tensor(path, data[8 + size:], header, "bias", [[1]])
    return bias + tensor(path, data[8 + size:], header, "weight", [[len(FEATURES)], [1, len(FEATURES)]])


def tensor(path, body, header, name, shapes):
    entry = header.get(name)
    if not isinstance(entry, dict):
        raise Unusable(f"{path} has no tensor {name}; check a logistic regression.")
    if entry.get("dtype") != "F32" or entry.get("shape") not in shapes:
        raise Unusable(f"{path}: {name} is {entry.get('dtype')} {entry.get('shape')}, not F32 {shapes[-1]}.")
    count, offsets = shapes[0][0], entry.get("data_offsets")
    if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(o) is int for o in offsets)
            and 0 <= offsets[0] and offsets[1] - offsets[0] == 4 * count and offsets[1] <= len(body)):
        raise Unusable(f"{path}: {name} has no room for its {count} numbers; export the model again.")
    return list(struct.unpack_from(f"<{count}f", body, offsets[0]))


def deviation(found, expected):
    """The largest absolute difference; infinite when a parameter is not a number."""
    differences = [abs(f - e) for f, e in zip(found, expected)]
    return math.inf if any(map(math.isnan, differences)) else max(differences)


# ---- Commands --------------------------------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(
        description="Check a run on the lung nodules against an independent FedAvg in double precision.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--models", metavar="DIR", help="compare round-001.safetensors and its successors in DIR")
    what.add_argument("--score-only", action="store_true", help="print the learning curve of the computation itself")
    what.add_argument("--pay", action="store_true", help="print what the twelve seats earn by rule pay/1")
    parser.add_argument("--readings", metavar="FILE", help="the raw table (readings.csv beside this script)",
                        default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "readings.csv"))
    parser.add_argument("--question", choices=["above-below-three", "above-three"], default="above-below-three",
                        help="grade above 3 against below 3, or the harder one: above 3 against 3 and below")
    parser.add_argument("--rounds", type=positive_whole, default=ROUNDS, help="rounds (%(default)s)")
    parser.add_argument("--steps", type=positive_whole, default=LOCAL_STEPS,
                        help="local full-batch steps a round (%(default)s)")
    parser.add_argument("--rate", type=positive, default=LEARNING_RATE, help="learning rate (%(default)s)")
    parser.add_argument("--tolerance", type=positive, default=TOLERANCE,
                        help="the largest deviation of a parameter that still agrees (%(default)s)")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.error = lambda message: (parser.print_usage(sys.stderr), print(f"Error: {message}", file=sys.stderr),
                                    sys.exit(64))
    return parser.parse_args()


def positive(text):
    value = float(text)
    if not (0 < value < math.inf):
        raise ValueError
    return value


def positive_whole(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def table(header, rows):
    cells = [header] + [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths)) for row in cells)


def counts_sentence(counts):
    items, nodules, training = counts["items"], counts["nodules"], counts["training"]
    return (f"{counts['readings']} readings of {sum(nodules.values())} nodules ("
            + ", ".join(f"{h} {n}" for h, n in nodules.items()) + ")\n"
            + f"{items['approved']} approved, {items['disputed']} disputed, {items['tooFew']} too few\n"
            + f"{counts['trainingRecords']} records to train on ("
            + ", ".join(f"{h} {n}" for h, n in training.items())
            + f"; {counts['trainingAbove']} above 3), {counts['heldOutRecords']} held out "
            + f"({counts['heldOutAbove']} above 3)\n")


def print_pay(study, form):
    result = pay(study.panels)
    if form == "json":
        print(json.dumps({"seats": result}, indent=2, sort_keys=True))
        return
    keys = ["answers", "points", "fee", "weight", "shortfall"]
    print(table(["seat"] + keys, [[s] + [r.get(k, "") if r.get(k) is not None else "-" for k in keys]
                                  for s, r in result.items()]))


def check(options):
    study = Study(read_table(options.readings), options.question)
    if options.pay:
        print_pay(study, options.format)
        return 0
    found = read_models(options.models, options.rounds) if options.models else None
    expected = fedavg(study.training, options.rounds, options.steps, options.rate)
    rows = []
    for number, parameters in enumerate(expected, 1):
        auc, accuracy, loss = score(found[number - 1] if found else parameters, study.held_out)
        rows.append({"round": number, "auc": auc, "accuracy": accuracy, "loss": loss})
        if found:
            rows[-1]["deviation"] = deviation(found[number - 1], parameters)
    report = {**study.counts(), "question": options.question, "rounds": rows}
    if found:
        report["largestDeviation"] = max(row["deviation"] for row in rows)
        report["tolerance"] = options.tolerance
        report["agrees"] = report["largestDeviation"] <= options.tolerance
    else:
        best = pooled([r for h in HOSPITALS for r in study.training[h]])
        report["pooled"] = dict(zip(["auc", "accuracy", "loss"], score(best, study.held_out)))
    print_report(report, options.format)
    return 0 if report.get("agrees", True) else 2


def print_report(report, form):
    if form == "json":
        print(json.dumps(finite(report), indent=2, sort_keys=True, allow_nan=False))
        return
    columns = ["deviation", "auc", "accuracy", "loss"] if "agrees" in report else ["auc", "accuracy", "loss"]
    print(counts_sentence(report))
    print(table(["round"] + columns, [
        [row["round"]] + [f"{row[c]:.1e}" if c == "deviation" or row[c] >= 1e6 else f"{row[c]:.4f}" for c in columns]
        for row in report["rounds"]]))
    if "agrees" in report:
        word = "agrees with" if report["agrees"] else "DIFFERS from"
        print(f"\nlargest deviation {report['largestDeviation']:.1e}: the run {word} the independent computation "
              f"(tolerance {report['tolerance']:g})")
    else:
        best = report["pooled"]
        print(f"\nall records pooled: AUC {best['auc']:.4f}, accuracy {best['accuracy']:.4f}, loss {best['loss']:.4f}")


def finite(value):
    """JSON knows neither infinity nor NaN; null stands for them."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main():
    options = arguments()
    try:
        return check(options)
    except Unusable as error:
        print(f"Error: {error}", file=sys.stderr)
    except OverflowError:
        print(f"Error: the parameters left the range of numbers; choose a --rate below {options.rate:g}.",
              file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
