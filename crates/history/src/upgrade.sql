-- What version 2 has and version 1 had not.

-- What a device reads: its rooms, what was whispered to its key, and what its key whispered.
CREATE INDEX event_room ON event (room, seq) WHERE addressee IS NULL;
CREATE INDEX event_addressee ON event (addressee, seq) WHERE addressee IS NOT NULL;
CREATE INDEX event_whisperer ON event (author, seq) WHERE addressee IS NOT NULL;

-- One-use invites that were issued, by the SHA-256 of their secrets.
CREATE TABLE invite (
    id BLOB PRIMARY KEY,
    -- The fingerprint of the key that has used it.
    guest TEXT
) STRICT, WITHOUT ROWID;
