-- Version 1.

-- The device itself: one row.
CREATE TABLE device (
    -- What its number was made of.
    chance INTEGER NOT NULL,
    -- The log of the cursor, and the newest of its events that were shown.
    log INTEGER,
    seq INTEGER,
    -- Whether the rooms were set.
    has_rooms INTEGER NOT NULL DEFAULT FALSE
) STRICT;

-- Messages that are not known to be stored by the host, in the order of `place`.
CREATE TABLE outbox (
    place INTEGER PRIMARY KEY,
    -- The id of the message: 16 bytes.
    id BLOB NOT NULL UNIQUE,
    room TEXT NOT NULL,
    -- `said`, `emote` or `whisper`.
    what TEXT NOT NULL,
    addressee TEXT,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE name (
    place INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- NULL for a member without a key.
    key TEXT
) STRICT;

CREATE TABLE room (
    place INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;
