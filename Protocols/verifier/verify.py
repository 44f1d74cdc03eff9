#!/usr/bin/env python3
"""Checks receipts, evidence and chains of a Tally network by a second implementation, written from the pages beside it.

    verify.py receipt  FILE... --genesis genesis.tally
    verify.py evidence FILE... --genesis genesis.tally [--chain FILE]
    verify.py chain    FILE... --genesis genesis.tally
    verify.py accounts FILE... --genesis genesis.tally --effects FILE

It trusts the genesis document alone; for evidence against keys that came later, also the openings and member documents
of an exported chain. It executes no contract but those of money: with `accounts` it keeps the books of a chain (FILE,
`tally export chain`) from its effects (`tally export effects`), as accounts.py says. State roots are checked by `tally
verify`, not here. Needs Python 3.10 and the package `cryptography`. Prints one JSON object a file; exit 0 when all are
proven, 2 when one is not, 1 when it cannot say.
"""
import argparse
import json
import sys

try:
    import accounts
    import chain
    import evidence
    import receipt
    from ledger import Genesis, Keys, Refused
except ImportError as missing:
    if "cryptography" not in str(missing):
        raise
    sys.exit("verify.py needs the Python package `cryptography`; install it with `pip install cryptography`")


def contents(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as fault:
        sys.exit(f"{path} cannot be read: {fault.strerror}")


def examine(options, genesis, keys, data):
    if options.what == "receipt":
        return receipt.check(data, genesis)
    if options.what == "evidence":
        return evidence.check(data, genesis, keys)
    if options.what == "accounts":
        books = accounts.check(data, contents(options.effects), genesis)
        balances = {one: books.held(one) for one in sorted(set(books.available) | set(books.pending))}
        return {"height": books.height, "transactions": books.transactions, "postings": books.postings,
                "derived": books.derived, "issued": books.issued, "revenue": books.revenue,
                "redeemed": books.redeemed, "accounts": balances}
    read = chain.check(data, genesis)
    return {"height": read.slot[1], "term": read.slot[0], "head": read.hash.hex(), "settledHeight": read.settled,
            "transactions": read.transactions, "logRoot": read.log.root().hex(), "terms": sorted(read.terms.all)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["receipt", "evidence", "chain", "accounts"])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--genesis", required=True, help="the founding document; all that is trusted")
    parser.add_argument("--chain", help="evidence: an exported chain, for keys that came after genesis")
    parser.add_argument("--effects", help="accounts: the effects of the same chain")
    options = parser.parse_args()
    if options.what == "accounts" and not options.effects:
        parser.error("accounts needs --effects")
    try:
        genesis = Genesis(contents(options.genesis))
        keys = chain.check(contents(options.chain), genesis).keys if options.chain else Keys(genesis)
    except Refused as reason:
        sys.exit(f"genesis or chain: {reason}")
    proven = True
    for path in options.files:
        try:
            found = {"proven": True, **examine(options, genesis, keys, contents(path))}
        except Refused as reason:
            found, proven = {"proven": False, "reason": str(reason)}, False
        print(json.dumps(found, sort_keys=True))
    sys.exit(0 if proven else 2)


if __name__ == "__main__":
    main()
