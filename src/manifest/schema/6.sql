-- The manifest, version 6: trust. Applied on top of version 5.

-- Names: whose a project is.

DROP TABLE remote_refusal;                                 -- a memory: what it knew is found out again
CREATE TABLE remote_refusal(                               -- a remote's file that the store won't have for a variant: it isn't listed there
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  variant TEXT NOT NULL,                                   -- for whom it was asked for: a variant's name, or a collection's
  filename TEXT NOT NULL,
  sha256 BLOB NOT NULL CHECK(length(sha256) IN (0, 32)),   -- what the page announced; '': nothing
  refused_at INTEGER NOT NULL,
  until INTEGER NOT NULL,                                  -- then it is listed and tried again
  reason TEXT NOT NULL,
  PRIMARY KEY(remote_id, variant, filename, sha256)
) STRICT, WITHOUT ROWID;

-- Tokens: what they may, where, how long.

-- History: what was done, and by whom; what a revision holds.

-- What changed in this transaction, as triggers saw it (src/manifest/triggers.rs makes them for each table that matters). The commit
-- makes records of it, so it is empty between transactions; what is found in it at the start of one came from another program.
CREATE TABLE change(
  id INTEGER PRIMARY KEY,
  subject TEXT NOT NULL,                                   -- the table
  row TEXT NOT NULL,                                       -- which row of it, as JSON
  before TEXT, after TEXT                                  -- its values, as JSON; NULL: it was not there, it is gone
) STRICT;

CREATE TABLE record(                                       -- the log: each record vouches for all before it
  number INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  actor TEXT NOT NULL CHECK(actor IN ('user', 'token', 'anonymous', 'unknown')),
  actor_id INTEGER,                                        -- a user's or a token's number
  actor_name TEXT NOT NULL,
  origin TEXT NOT NULL,                                    -- the host, or a client's address
  command TEXT NOT NULL,
  name TEXT, collection TEXT, project TEXT, filename TEXT, sha256 BLOB,
  before TEXT, after TEXT,                                 -- what else there is to say of it, as JSON, without secrets
  digest BLOB NOT NULL CHECK(length(digest) = 32)          -- SHA-256 of the digest before it and of this record
) STRICT;
CREATE TABLE revision_signature(                           -- what somebody signed of a collection
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  revision INTEGER NOT NULL,
  digest BLOB NOT NULL CHECK(length(digest) = 32),         -- SHA-256 of the revision's text
  previous INTEGER,                                        -- the signed revision that the text names as the one before
  signature TEXT NOT NULL,                                 -- as `ssh-keygen -Y sign` made it
  signed_at INTEGER NOT NULL,
  text BLOB,                                               -- deflated; of the newest one, since gc takes what revisions had
  PRIMARY KEY(collection_id, revision)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER record_stays BEFORE UPDATE ON record BEGIN SELECT raise(ABORT, 'a record is never changed'); END;

-- Budgets: what grows is bounded.

-- End of version 6.
