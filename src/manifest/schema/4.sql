-- The manifest, version 4: the cache for builders, and times for files of remotes that tell none. Applied on top of version 3.

ALTER TABLE collection ADD COLUMN cache_rules TEXT;        -- what its cache endpoint offers, as `suffix=_cuda&max-build=3`; NULL: the defaults

CREATE TABLE want(                                         -- what builders asked a cache endpoint for, and it had not
  variant TEXT NOT NULL,                                   -- the collection or variant that was asked
  project TEXT NOT NULL,                                   -- normalised (PEP 503)
  count INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY(variant, project)
) STRICT, WITHOUT ROWID;

CREATE TABLE remote_first_seen(                            -- files of remotes whose pages tell no time of upload
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  filename TEXT NOT NULL,
  first_at INTEGER NOT NULL,                               -- when its page was first seen with it, or last modified then
  PRIMARY KEY(remote_id, filename)
) STRICT, WITHOUT ROWID;
