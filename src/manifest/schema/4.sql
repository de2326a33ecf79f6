-- The manifest, version 4: the cache for builders. Applied on top of version 3.

ALTER TABLE collection ADD COLUMN cache_rules TEXT;        -- what its cache endpoint offers, as `suffix=_cuda&max-build=3`; NULL: the defaults

CREATE TABLE want(                                         -- what builders asked a cache endpoint for, and it had not
  variant TEXT NOT NULL,                                   -- the collection or variant that was asked
  project TEXT NOT NULL,                                   -- normalised (PEP 503)
  count INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY(variant, project)
) STRICT, WITHOUT ROWID;
