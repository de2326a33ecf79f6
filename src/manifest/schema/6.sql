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

-- Budgets: what grows is bounded.

-- End of version 6.
