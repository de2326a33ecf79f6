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

-- Budgets: what grows is bounded.

-- End of version 6.
