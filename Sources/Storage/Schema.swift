import GRDB

/// The tables of `ledger.sqlite`; a shipped migration is never edited.
///
/// Ledger tables hold settled blocks and refuse UPDATE and DELETE. Everything else can be
/// rebuilt from them, save the journal: what a voter signed.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(sql: ledger)
            try db.execute(sql: journal)
            try db.execute(sql: state)
        }
        migrator.registerMigration("2") { db in try db.execute(sql: joining) }
        return migrator
    }

    private static let ledger = """
        CREATE TABLE genesis (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            document BLOB NOT NULL
        ) STRICT;
        CREATE TABLE blocks (
            height INTEGER PRIMARY KEY CHECK (height > 0),
            hash BLOB NOT NULL CHECK (length(hash) = 32),
            header BLOB NOT NULL,
            signature BLOB NOT NULL CHECK (length(signature) = 64),
            parentCertificate BLOB NOT NULL,
            firstIndex INTEGER NOT NULL,
            opening BLOB NOT NULL
        ) STRICT;
        CREATE INDEX blocksThatOpen ON blocks (height) WHERE length(opening) > 0;
        CREATE TABLE envelopes (
            id INTEGER PRIMARY KEY,
            hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
            height INTEGER NOT NULL REFERENCES blocks (height),
            firstIndex INTEGER NOT NULL,
            content BLOB NOT NULL
        ) STRICT;
        CREATE INDEX envelopesByHeight ON envelopes (height, id);
        CREATE TABLE effects (
            logIndex INTEGER PRIMARY KEY,
            content BLOB NOT NULL
        ) STRICT;
        """
        + ["genesis", "blocks", "envelopes", "effects"].map { table in
            """
            CREATE TRIGGER \(table)NeverChange BEFORE UPDATE ON \(table)
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
            CREATE TRIGGER \(table)NeverVanish BEFORE DELETE ON \(table)
            BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
            """
        }.joined(separator: "\n")

    private static let journal = """
        CREATE TABLE votes (
            term INTEGER NOT NULL,
            height INTEGER NOT NULL,
            isFirst INTEGER NOT NULL CHECK (isFirst IN (0, 1)),
            content BLOB NOT NULL,
            PRIMARY KEY (term, height)
        ) STRICT;
        CREATE UNIQUE INDEX oneFirstBlockATerm ON votes (term) WHERE isFirst = 1;
        CREATE TABLE journal (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            term INTEGER NOT NULL,
            highest BLOB NOT NULL
        ) STRICT;
        CREATE TABLE statuses (
            term INTEGER NOT NULL,
            number INTEGER NOT NULL,
            report BLOB NOT NULL,
            PRIMARY KEY (term, number)
        ) STRICT;
        CREATE TABLE decisions (
            hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
            term INTEGER NOT NULL,
            content BLOB NOT NULL
        ) STRICT;
        CREATE TABLE ballots (
            decision BLOB NOT NULL REFERENCES decisions (hash),
            voter TEXT NOT NULL,
            content BLOB NOT NULL,
            PRIMARY KEY (decision, voter)
        ) STRICT;
        CREATE TABLE pending (
            term INTEGER NOT NULL,
            height INTEGER NOT NULL,
            hash BLOB NOT NULL CHECK (length(hash) = 32),
            block BLOB NOT NULL,
            PRIMARY KEY (term, height, hash)
        ) STRICT;
        CREATE TABLE proposals (
            term INTEGER NOT NULL,
            height INTEGER NOT NULL,
            isFirst INTEGER NOT NULL CHECK (isFirst IN (0, 1)),
            block BLOB NOT NULL,
            PRIMARY KEY (term, height)
        ) STRICT;
        CREATE UNIQUE INDEX oneFirstProposalATerm ON proposals (term) WHERE isFirst = 1;
        CREATE TABLE accepted (
            id INTEGER PRIMARY KEY,
            hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
            receipt BLOB NOT NULL,
            envelope BLOB
        ) STRICT;
        CREATE INDEX acceptedWaiting ON accepted (id) WHERE envelope IS NOT NULL;
        """

    /// `undo` holds what values were before the block at a height; absent ones are NULL.
    private static let joining = """
        CREATE TABLE checkpoints (
            height INTEGER PRIMARY KEY,
            logPeaks BLOB NOT NULL
        ) STRICT;
        CREATE TABLE undo (
            bucket INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            key BLOB NOT NULL,
            height INTEGER NOT NULL,
            value BLOB,
            PRIMARY KEY (bucket, kind, key, height)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE snapshot (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            height INTEGER NOT NULL,
            hash BLOB NOT NULL CHECK (length(hash) = 32),
            proof BLOB NOT NULL,
            logPeaks BLOB NOT NULL,
            nextBucket INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE history (
            height INTEGER PRIMARY KEY CHECK (height > 0),
            block BLOB NOT NULL
        ) STRICT;
        """

    private static let state = """
        CREATE TABLE state (
            kind INTEGER NOT NULL,
            key BLOB NOT NULL,
            bucket INTEGER NOT NULL,
            value BLOB NOT NULL,
            PRIMARY KEY (kind, key)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX stateByBucket ON state (bucket);
        CREATE TABLE buckets (
            bucket INTEGER PRIMARY KEY,
            digest BLOB NOT NULL CHECK (length(digest) = 32),
            isDirty INTEGER NOT NULL CHECK (isDirty IN (0, 1))
        ) STRICT;
        CREATE TABLE tip (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            term INTEGER NOT NULL,
            height INTEGER NOT NULL,
            hash BLOB NOT NULL CHECK (length(hash) = 32),
            timeMilliseconds INTEGER NOT NULL,
            logSize INTEGER NOT NULL,
            logPeaks BLOB NOT NULL
        ) STRICT;
        CREATE TABLE postings (
            id INTEGER PRIMARY KEY,
            logIndex INTEGER NOT NULL,
            height INTEGER NOT NULL,
            debit TEXT NOT NULL,
            credit TEXT NOT NULL,
            microtokens INTEGER NOT NULL,
            rule TEXT NOT NULL,
            availableFrom INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX postingsByDebit ON postings (debit, id);
        CREATE INDEX postingsByCredit ON postings (credit, id);
        """
}
