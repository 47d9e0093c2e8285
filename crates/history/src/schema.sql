-- Version 2: what version 1 has not is in `upgrade.sql`, which is run after this. A text column holds UTF-8; times are milliseconds since the Unix epoch.

-- The log itself: one row.
CREATE TABLE log (
    -- Another log has another name (LogId).
    name INTEGER NOT NULL,
    -- The newest number that was given, also after its event was forgotten.
    head INTEGER NOT NULL DEFAULT 0,
    -- The newest number that was forgotten.
    forgotten INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE room (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- The number of its newest event.
    head INTEGER NOT NULL,
    topic TEXT NOT NULL DEFAULT ''
) STRICT;

-- The keys of authors and of those they whispered to.
CREATE TABLE key (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    -- The number of the newest event of it or for it.
    head INTEGER NOT NULL,
    -- The name that it had last, and since which event.
    name TEXT,
    named INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX key_named ON key (named) WHERE name IS NOT NULL;

CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    room INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- NULL for an author without a key, and for an event of the chat itself.
    author INTEGER,
    -- The author's id of a message: 16 bytes.
    id BLOB,
    -- The key that it was whispered to; then the author and this key may read it, else the room.
    addressee INTEGER,
    -- The machine line, as members are sent it.
    line BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_id ON event (author, id) WHERE id IS NOT NULL;
CREATE INDEX event_said ON event (room, seq) WHERE kind = 'said';

CREATE TABLE ban (
    who TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What was said to rooms, as search.rs cuts it into words; a row's number is the event's. The
-- words are ASCII words and characters beyond ASCII, so nothing is left for the tokenizer to fold.
CREATE VIRTUAL TABLE words USING fts5 (
    room, text,
    content = '', contentless_delete = 1, tokenize = 'ascii'
);
