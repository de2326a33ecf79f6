-- The manifest, version 2: routing, the guard, remotes. Applied on top of version 1.

-- The guard of a collection. accelerators: NULL: anything goes; '': none; else the names that it may hold, separated by commas.
ALTER TABLE collection ADD COLUMN accelerators TEXT;
ALTER TABLE collection ADD COLUMN guard TEXT NOT NULL DEFAULT 'refuse' CHECK(guard IN ('refuse', 'warn'));
ALTER TABLE collection ADD COLUMN guard_strict INTEGER NOT NULL DEFAULT 0 CHECK(guard_strict IN (0, 1)); -- what merely carries device code, too

-- Where an entry's bytes came from, when not from a local file.
ALTER TABLE entry ADD COLUMN remote TEXT;                  -- the remote's name
ALTER TABLE entry ADD COLUMN url TEXT;                     -- the file's URL there, without credentials
ALTER TABLE entry ADD COLUMN is_unhashed INTEGER NOT NULL DEFAULT 0 CHECK(is_unhashed IN (0, 1)); -- no digest vouched for it

CREATE TABLE inspection(                                   -- what accelerators a blob is bound to; found once per blob and engine
  blob_id INTEGER PRIMARY KEY REFERENCES blob(id) ON DELETE CASCADE,
  engine INTEGER NOT NULL,                                 -- the version of the rules; older ones are found anew
  is_deep INTEGER NOT NULL CHECK(is_deep IN (0, 1)),
  report TEXT NOT NULL                                     -- JSON
) STRICT;

CREATE TABLE variant(                                      -- how new distributions of a variant are routed; its collection has its name
  name TEXT PRIMARY KEY,
  has_requirements INTEGER NOT NULL DEFAULT 0 CHECK(has_requirements IN (0, 1)),  -- an empty set is not "none"
  is_detecting INTEGER NOT NULL DEFAULT 0 CHECK(is_detecting IN (0, 1)),
  strategy TEXT NOT NULL DEFAULT 'nearest' CHECK(strategy IN ('nearest', 'union'))
) STRICT, WITHOUT ROWID;
CREATE TABLE variant_requirement(                          -- the variant's own projects
  variant TEXT NOT NULL REFERENCES variant(name) ON DELETE CASCADE,
  project TEXT NOT NULL,                                   -- normalised (PEP 503)
  requirement TEXT NOT NULL,                               -- as it was written, for people
  PRIMARY KEY(variant, project)
) STRICT, WITHOUT ROWID;
CREATE TABLE route_override(                               -- a project's collection, whatever else is said
  project TEXT NOT NULL,
  variant TEXT NOT NULL DEFAULT '',                        -- '': for all variants
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE RESTRICT,
  PRIMARY KEY(project, variant)
) STRICT, WITHOUT ROWID;
CREATE INDEX route_override_collection ON route_override(collection_id);

CREATE TABLE remote(                                       -- another index that a collection pulls from
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  url TEXT NOT NULL,
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  priority INTEGER NOT NULL DEFAULT 0,                     -- the lower is asked first
  only_patterns TEXT NOT NULL DEFAULT '',                  -- project patterns, one a line; '': all
  except_patterns TEXT NOT NULL DEFAULT '',
  min_age INTEGER,                                         -- seconds since upload before a file is taken
  not_found TEXT NOT NULL DEFAULT '',                      -- status codes that mean 404 there, separated by commas
  allow_insecure INTEGER NOT NULL DEFAULT 0 CHECK(allow_insecure IN (0, 1)),
  trust_unhashed INTEGER NOT NULL DEFAULT 0 CHECK(trust_unhashed IN (0, 1)),
  is_listed INTEGER NOT NULL DEFAULT 0 CHECK(is_listed IN (0, 1)), -- its root page names all its projects
  auth TEXT,                                               -- 'netrc' or 'env:VAR', never a secret
  layout TEXT,                                             -- found on first use: where its pages are; NULL: not known yet
  ok_at INTEGER, failed_at INTEGER, failure TEXT           -- the last answer, the last failure
) STRICT;
CREATE INDEX remote_collection ON remote(collection_id, priority);

CREATE TABLE remote_page(                                  -- a remote's page as it was last seen
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  project TEXT NOT NULL,                                   -- '': the root page, or the one page of a flat layout
  is_absent INTEGER NOT NULL CHECK(is_absent IN (0, 1)),   -- a definite "not found", remembered too
  url TEXT NOT NULL,                                       -- where it was in the end, the base of its links
  content_type TEXT,
  etag TEXT, last_modified TEXT,
  fetched_at INTEGER NOT NULL,                             -- when it was last fetched or found unchanged
  body BLOB NOT NULL,                                      -- deflated
  PRIMARY KEY(remote_id, project)
) STRICT;

CREATE TABLE remote_count(                                 -- by day (days since 1970)
  day INTEGER NOT NULL,
  remote TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK(outcome IN ('hit', 'miss', 'failure')),
  count INTEGER NOT NULL, bytes INTEGER NOT NULL, milliseconds INTEGER NOT NULL,
  PRIMARY KEY(day, remote, outcome)
) STRICT, WITHOUT ROWID;
