-- The manifest, version 1. Times are seconds since 1970 unless the name ends in _ns.
-- A reference to a blob is a row with a foreign key ON DELETE RESTRICT: entry, pin, hold. There is no stored reference count.
-- Removing a reference only marks the blob (maybe_unreferenced_at); gc alone decides, with one index probe per kind of reference.

CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE blob(
  id INTEGER PRIMARY KEY AUTOINCREMENT,                    -- never given twice: a command may remember a blob that gc took
  blake3 BLOB NOT NULL UNIQUE CHECK(length(blake3) = 32),
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),  -- a second BLAKE3 for a known SHA-256 is an alarm, not a row
  size INTEGER NOT NULL CHECK(size >= 0),
  state TEXT NOT NULL CHECK(state IN ('staged', 'live', 'deleting', 'lost')),
  epoch INTEGER NOT NULL DEFAULT 0,                        -- moves when 'lost' is written: "set live" compares it
  inode INTEGER, modified_ns INTEGER,                      -- the file's stat when its bytes were last known to be right
  created_at INTEGER NOT NULL,
  maybe_unreferenced_at INTEGER,
  used_at INTEGER,                                         -- last lookup hit, written at most once a day
  verified_at INTEGER                                      -- when verify last read all bytes
) STRICT;
CREATE INDEX blob_maybe_unreferenced ON blob(maybe_unreferenced_at) WHERE maybe_unreferenced_at IS NOT NULL;
CREATE INDEX blob_not_live ON blob(state) WHERE state <> 'live';
CREATE INDEX blob_size ON blob(size);

CREATE TABLE metadata(
  sha256 BLOB PRIMARY KEY CHECK(length(sha256) = 32),
  bytes BLOB NOT NULL                                      -- METADATA or PKG-INFO, to the byte: the sidecar of PEP 658
) STRICT;

CREATE TABLE distribution(                                 -- bytes under a filename: what an index says of them
  blob_id INTEGER NOT NULL REFERENCES blob(id) ON DELETE CASCADE,
  filename TEXT NOT NULL,
  kind TEXT NOT NULL CHECK(kind IN ('wheel', 'sdist')),
  project TEXT NOT NULL,                                   -- normalised (PEP 503)
  version TEXT NOT NULL,                                   -- normalised (PEP 440)
  build_tag TEXT,
  tags TEXT NOT NULL,                                      -- python-abi-platform as in the filename; '' for an sdist
  requires_python TEXT,
  metadata_sha256 BLOB REFERENCES metadata(sha256),
  PRIMARY KEY(blob_id, filename)
) STRICT, WITHOUT ROWID;
CREATE INDEX distribution_project ON distribution(project);
CREATE INDEX distribution_metadata ON distribution(metadata_sha256) WHERE metadata_sha256 IS NOT NULL;
CREATE TRIGGER distribution_deleted AFTER DELETE ON distribution WHEN old.metadata_sha256 IS NOT NULL BEGIN
  DELETE FROM metadata WHERE sha256 = old.metadata_sha256
    AND NOT EXISTS (SELECT 1 FROM distribution WHERE metadata_sha256 = old.metadata_sha256);
END;

CREATE TABLE collection(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  revision INTEGER NOT NULL DEFAULT 0,
  complete_since INTEGER NOT NULL DEFAULT 0,               -- revisions before this one have lost entries to gc, snapshots excepted
  created_at INTEGER NOT NULL,
  keep_builds INTEGER, keep_versions INTEGER, unused_for INTEGER, max_bytes INTEGER  -- retention; NULL: none
) STRICT;

CREATE TABLE fallback(                                     -- where a lookup goes on when the collection has no answer
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  fallback_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  PRIMARY KEY(collection_id, position), UNIQUE(collection_id, fallback_id), CHECK(collection_id <> fallback_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE operation(                                    -- one command that changed collections, for log and undo
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  what TEXT NOT NULL,
  who TEXT NOT NULL,
  undone_by INTEGER REFERENCES operation(id)
) STRICT;
CREATE TABLE revision(
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  operation_id INTEGER NOT NULL REFERENCES operation(id),
  added INTEGER NOT NULL, removed INTEGER NOT NULL,
  PRIMARY KEY(collection_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX revision_operation ON revision(operation_id);

CREATE TABLE entry(                                        -- a distribution in a collection, from one revision until another
  id INTEGER PRIMARY KEY,
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  filename TEXT NOT NULL,
  blob_id INTEGER NOT NULL REFERENCES blob(id) ON DELETE RESTRICT,
  added INTEGER NOT NULL,
  removed INTEGER CHECK(removed > added),                  -- NULL: live
  removed_at INTEGER,
  uploaded_at INTEGER NOT NULL,                            -- when this collection first had these bytes under this name
  yanked TEXT,                                             -- the reason, maybe ''
  CHECK((removed IS NULL) = (removed_at IS NULL)),
  FOREIGN KEY(blob_id, filename) REFERENCES distribution(blob_id, filename) ON DELETE RESTRICT
) STRICT;
CREATE UNIQUE INDEX entry_live ON entry(collection_id, filename) WHERE removed IS NULL;
CREATE INDEX entry_blob ON entry(blob_id, filename);
CREATE INDEX entry_removed ON entry(collection_id, removed) WHERE removed IS NOT NULL;
CREATE TRIGGER entry_deleted AFTER DELETE ON entry BEGIN
  UPDATE blob SET maybe_unreferenced_at = max(coalesce(maybe_unreferenced_at, 0), coalesce(old.removed_at, unixepoch()))
  WHERE id = old.blob_id;
END;

CREATE TABLE snapshot(                                     -- keeps a revision whole
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY(collection_id, name)
) STRICT, WITHOUT ROWID;

-- A tree on disk shows whole revisions of collections, so it keeps entries as a snapshot does: no row for each link is needed.
CREATE TABLE view(
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,
  store TEXT NOT NULL,                                     -- the store's own folder then: relative links break when it moves
  layout TEXT NOT NULL CHECK(layout IN ('simple', 'flat')),
  link TEXT NOT NULL CHECK(link IN ('symlink', 'hardlink', 'reflink', 'copy')),
  generation INTEGER NOT NULL DEFAULT 0,                   -- the one that readers see; 0: none yet
  files INTEGER NOT NULL DEFAULT 0, projects INTEGER NOT NULL DEFAULT 0,
  losses INTEGER                                           -- the store's count of losses when it was made whole; NULL: it wasn't
) STRICT;
CREATE TABLE view_source(
  view_id INTEGER NOT NULL REFERENCES view(id) ON DELETE CASCADE,
  generation INTEGER NOT NULL,
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE RESTRICT,
  revision INTEGER NOT NULL,
  PRIMARY KEY(view_id, generation, collection_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX view_source_collection ON view_source(collection_id);

CREATE TABLE pin(
  id INTEGER PRIMARY KEY,
  blob_id INTEGER NOT NULL REFERENCES blob(id) ON DELETE RESTRICT,
  owner TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  UNIQUE(blob_id, owner)
) STRICT;
CREATE TRIGGER pin_deleted AFTER DELETE ON pin BEGIN
  UPDATE blob SET maybe_unreferenced_at = max(coalesce(maybe_unreferenced_at, 0), unixepoch()) WHERE id = old.blob_id;
END;

CREATE TABLE session(                                      -- a running writer; dead when its lock file can be locked
  id TEXT PRIMARY KEY, host TEXT NOT NULL, boot_id TEXT NOT NULL, pid INTEGER NOT NULL, command TEXT NOT NULL,
  started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE hold(
  session_id TEXT NOT NULL REFERENCES session(id) ON DELETE CASCADE,
  blob_id INTEGER NOT NULL REFERENCES blob(id) ON DELETE RESTRICT,
  PRIMARY KEY(session_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_blob ON hold(blob_id);
-- An import's blob has its entry by the time that its hold goes: only one that was left behind needs gc's look.
CREATE TRIGGER hold_deleted AFTER DELETE ON hold WHEN NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = old.blob_id) BEGIN
  UPDATE blob SET maybe_unreferenced_at = max(coalesce(maybe_unreferenced_at, 0), unixepoch()) WHERE id = old.blob_id;
END;

CREATE TABLE seen(                                         -- what was hashed: an unchanged file is not read again
  device INTEGER NOT NULL, inode INTEGER NOT NULL,
  size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
  blob_id INTEGER NOT NULL REFERENCES blob(id) ON DELETE CASCADE,
  PRIMARY KEY(device, inode)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_blob ON seen(blob_id);

CREATE TABLE lookup_count(                                 -- by day (days since 1970), for rates over time
  day INTEGER NOT NULL,
  collection TEXT NOT NULL,                                -- where it was found or stored; for a miss, what was asked
  remote TEXT NOT NULL DEFAULT '',                         -- '': the store itself
  outcome TEXT NOT NULL CHECK(outcome IN ('hit', 'miss', 'store')),
  count INTEGER NOT NULL,
  PRIMARY KEY(day, collection, remote, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine(
  id INTEGER PRIMARY KEY,
  blake3 BLOB NOT NULL CHECK(length(blake3) = 32),
  name TEXT NOT NULL,                                      -- in the folder quarantine/
  at INTEGER NOT NULL
) STRICT;
