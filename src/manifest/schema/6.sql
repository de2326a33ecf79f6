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

DROP TABLE remote_metadata;                                -- a memory, too
CREATE TABLE remote_metadata(                              -- METADATA of remotes' files that are not in the store yet, as each remote tells it
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  file_sha256 BLOB NOT NULL CHECK(length(file_sha256) = 32),
  metadata_sha256 BLOB NOT NULL CHECK(length(metadata_sha256) = 32),
  fetched_at INTEGER NOT NULL,
  bytes BLOB NOT NULL,                                     -- deflated
  PRIMARY KEY(remote_id, file_sha256)
) STRICT;
CREATE INDEX remote_metadata_file ON remote_metadata(file_sha256);

CREATE TABLE owned_project(                                -- projects that a collection has, or had, and not from a stranger
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  project TEXT NOT NULL,
  owned_since INTEGER NOT NULL,
  has_upstream INTEGER NOT NULL CHECK(has_upstream IN (0, 1)), -- every file of it was made from somebody's source, as far as was told
  PRIMARY KEY(collection_id, project)
) STRICT, WITHOUT ROWID;
INSERT INTO owned_project(collection_id, project, owned_since, has_upstream)
  SELECT e.collection_id, d.project, min(e.uploaded_at), min(e.source_url IS NOT NULL OR e.remote IS NOT NULL) FROM entry e
  JOIN distribution d ON d.blob_id = e.blob_id AND d.filename = e.filename
  WHERE e.remote IS NULL OR e.remote IN (SELECT name FROM remote WHERE is_ours) GROUP BY 1, 2;
-- Whatever adds an entry: none of its ways can forget it.
CREATE TRIGGER entry_owned AFTER INSERT ON entry
WHEN new.remote IS NULL OR new.remote IN (SELECT name FROM remote WHERE is_ours) BEGIN
  INSERT INTO owned_project(collection_id, project, owned_since, has_upstream)
    SELECT new.collection_id, d.project, new.uploaded_at, new.source_url IS NOT NULL OR new.remote IS NOT NULL
    FROM distribution d WHERE d.blob_id = new.blob_id AND d.filename = new.filename
    ON CONFLICT DO UPDATE SET has_upstream = min(has_upstream, excluded.has_upstream) WHERE has_upstream > excluded.has_upstream;
END;

ALTER TABLE remote ADD COLUMN follow_hosts TEXT NOT NULL DEFAULT ''; -- other hosts whose pages are believed where it sends to them
CREATE TABLE reservation(                                  -- names that a collection owns before it has a file
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  pattern TEXT NOT NULL,
  reason TEXT,
  reserved_at INTEGER NOT NULL,
  PRIMARY KEY(collection_id, pattern)
) STRICT, WITHOUT ROWID;
ALTER TABLE collection ADD COLUMN open_projects TEXT NOT NULL DEFAULT ''; -- patterns: strangers are asked for these though it owns them

CREATE TABLE block(                                        -- versions and files that must not come back
  id INTEGER PRIMARY KEY,
  collection_id INTEGER REFERENCES collection(id) ON DELETE CASCADE, -- NULL: all, those to come, too
  spec TEXT NOT NULL,
  reason TEXT NOT NULL,
  blocked_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX block_spec ON block(coalesce(collection_id, 0), spec);

-- Tokens: what they may, where, how long.

ALTER TABLE token ADD COLUMN collection_id INTEGER REFERENCES collection(id) ON DELETE SET NULL; -- the collection that it is for, whatever is called so later; NULL: all, or it is gone
ALTER TABLE token ADD COLUMN is_blind INTEGER NOT NULL DEFAULT 0 CHECK(is_blind IN (0, 1));      -- it uploads and doesn't read
ALTER TABLE token ADD COLUMN project_patterns TEXT NOT NULL DEFAULT '';                          -- what it may upload, one pattern a line; '': all
ALTER TABLE token ADD COLUMN used_from TEXT;                                                     -- the address of its last use
CREATE TABLE token_into(                                   -- where a route may lead its uploads, beside its own collection
  token_id INTEGER NOT NULL REFERENCES token(id) ON DELETE CASCADE,
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  PRIMARY KEY(token_id, collection_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_into_collection ON token_into(collection_id);
INSERT INTO collection(name, created_at)                   -- a token of a variant is its collection's: that is made where there is none
  SELECT collection, min(created_at) FROM token
  WHERE revoked_at IS NULL AND collection IN (SELECT name FROM variant) AND collection NOT IN (SELECT name FROM collection)
  GROUP BY collection;
UPDATE token SET collection_id = (SELECT id FROM collection WHERE name = token.collection);

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

CREATE INDEX remote_page_absent ON remote_page(remote_id, fetched_at) WHERE is_absent = 1; -- anybody may ask for any name

-- End of version 6.
