-- The manifest, version 3: the server. Applied on top of version 2.

CREATE TABLE token(                                        -- who may do what over HTTP
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,                                      -- for people
  digest BLOB NOT NULL UNIQUE CHECK(length(digest) = 32),  -- BLAKE3 of the secret, which is shown once and kept nowhere
  collection TEXT,                                         -- a collection's or variant's name; NULL: all
  scope TEXT NOT NULL CHECK(scope IN ('read', 'upload', 'admin')), -- each includes those before it
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  used_at INTEGER                                          -- written at most once an hour
) STRICT;

CREATE TABLE project_status(                               -- PEP 792; no row: active
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  project TEXT NOT NULL,                                   -- normalised (PEP 503)
  status TEXT NOT NULL CHECK(status IN ('archived', 'quarantined', 'deprecated')),
  reason TEXT,
  PRIMARY KEY(collection_id, project)
) STRICT, WITHOUT ROWID;

ALTER TABLE collection ADD COLUMN reuse_filenames INTEGER NOT NULL DEFAULT 0 CHECK(reuse_filenames IN (0, 1)); -- an upload may give a removed filename other bytes
ALTER TABLE collection ADD COLUMN hide_variants INTEGER NOT NULL DEFAULT 0 CHECK(hide_variants IN (0, 1));     -- pages leave out wheels with a variant label
ALTER TABLE entry ADD COLUMN provenance TEXT;              -- PEP 740: the https URL that the remote's page gave

ALTER TABLE distribution ADD COLUMN variant TEXT;          -- the label of a variant wheel (PEP 825)
CREATE TABLE variant_json(                                 -- what a variant wheel says of its variant, to the byte
  blob_id INTEGER PRIMARY KEY REFERENCES blob(id) ON DELETE CASCADE,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE remote_failure(                               -- a remote that failed is left alone for a while
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  project TEXT NOT NULL,                                   -- '': all of it (refused, time-out); else this project's page
  failed_at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY(remote_id, project)
) STRICT, WITHOUT ROWID;
CREATE TABLE remote_refusal(                               -- a remote's file that the store won't have: it isn't listed
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  filename TEXT NOT NULL,
  sha256 BLOB NOT NULL CHECK(length(sha256) IN (0, 32)),   -- what the page announced; '': nothing
  refused_at INTEGER NOT NULL,
  until INTEGER NOT NULL,                                  -- then it is listed and tried again
  reason TEXT NOT NULL,
  PRIMARY KEY(remote_id, filename, sha256)
) STRICT, WITHOUT ROWID;
CREATE TABLE remote_metadata(                              -- METADATA of files that are not in the store yet
  file_sha256 BLOB PRIMARY KEY CHECK(length(file_sha256) = 32),
  metadata_sha256 BLOB NOT NULL CHECK(length(metadata_sha256) = 32),
  fetched_at INTEGER NOT NULL,
  bytes BLOB NOT NULL                                      -- deflated
) STRICT;
