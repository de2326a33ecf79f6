-- The manifest, version 9: what is true of the store, apart from what is true of this folder. Applied on top of version 8.

CREATE TABLE file(                                         -- bytes in this folder; a blob's row says that they belong to the store
  id INTEGER PRIMARY KEY AUTOINCREMENT,                    -- that of its blob, whose row comes after it and goes before it
  blake3 BLOB NOT NULL UNIQUE CHECK(length(blake3) = 32),
  size INTEGER NOT NULL CHECK(size >= 0),
  state TEXT NOT NULL CHECK(state IN ('staged', 'live', 'deleting', 'lost')),
  epoch INTEGER NOT NULL DEFAULT 0,                        -- moves when 'lost' is written: "set live" compares it
  inode INTEGER, modified_ns INTEGER,                      -- the file's stat when its bytes were last known to be right
  verified_at INTEGER                                      -- when verify last read all bytes
) STRICT;
INSERT INTO file(id, blake3, size, state, epoch, inode, modified_ns, verified_at)
  SELECT id, blake3, size, state, epoch, inode, modified_ns, verified_at FROM blob;
DELETE FROM sqlite_sequence WHERE name = 'file';           -- no number that a blob ever had is given again
INSERT INTO sqlite_sequence(name, seq) SELECT 'file', seq FROM sqlite_sequence WHERE name = 'blob';
CREATE INDEX file_not_live ON file(state) WHERE state <> 'live';
CREATE INDEX file_size ON file(size);

CREATE TEMP TABLE held AS SELECT h.session_id, b.blake3 FROM hold h JOIN blob b ON b.id = h.blob_id;
DROP TABLE hold;
CREATE TABLE hold(                                         -- what a running command keeps: by digest, since no blob may have it yet
  session_id TEXT NOT NULL REFERENCES session(id) ON DELETE CASCADE,
  blake3 BLOB NOT NULL REFERENCES file(blake3) ON UPDATE CASCADE ON DELETE RESTRICT,
  PRIMARY KEY(session_id, blake3)
) STRICT, WITHOUT ROWID;
INSERT INTO hold SELECT session_id, blake3 FROM temp.held;
DROP TABLE temp.held;
CREATE INDEX hold_blake3 ON hold(blake3);

-- What is only staged, or going, is not the store's.
DELETE FROM blob WHERE state IN ('staged', 'deleting')
  AND NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = blob.id) AND NOT EXISTS (SELECT 1 FROM pin WHERE blob_id = blob.id);
DROP INDEX blob_not_live;
DROP INDEX blob_size;
ALTER TABLE blob DROP COLUMN state;
ALTER TABLE blob DROP COLUMN epoch;
ALTER TABLE blob DROP COLUMN inode;
ALTER TABLE blob DROP COLUMN modified_ns;
ALTER TABLE blob DROP COLUMN verified_at;

-- An import's blob has its entry by the time that its hold goes: only one that was left behind needs gc's look.
CREATE TRIGGER hold_deleted AFTER DELETE ON hold BEGIN
  UPDATE blob SET maybe_unreferenced_at = max(coalesce(maybe_unreferenced_at, 0), unixepoch())
  WHERE blake3 = old.blake3 AND NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = blob.id);
END;

CREATE TABLE here(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID; -- as `meta`, of this folder
INSERT INTO here SELECT key, value FROM meta WHERE key = 'losses' OR key GLOB 'build_run_begun:*';
DELETE FROM meta WHERE key IN (SELECT key FROM here);

CREATE TABLE view_shown(                                   -- what readers see of a tree
  view_id INTEGER PRIMARY KEY REFERENCES view(id) ON DELETE CASCADE,
  generation INTEGER NOT NULL,
  files INTEGER NOT NULL, projects INTEGER NOT NULL,
  losses INTEGER,                                          -- the folder's count of losses when it was made whole; NULL: it wasn't
  digest TEXT                                              -- of all that it shows; NULL: not known yet
) STRICT;
INSERT INTO view_shown SELECT id, generation, files, projects, losses, NULL FROM view WHERE generation > 0;
ALTER TABLE view DROP COLUMN generation;
ALTER TABLE view DROP COLUMN files;
ALTER TABLE view DROP COLUMN projects;
ALTER TABLE view DROP COLUMN losses;

CREATE TABLE remote_health(                                -- how a remote answers here
  remote_id INTEGER PRIMARY KEY REFERENCES remote(id) ON DELETE CASCADE,
  layout TEXT,                                             -- found on first use: where its pages are; NULL: not known yet
  ok_at INTEGER, failed_at INTEGER, failure TEXT           -- the last answer, the last failure
) STRICT;
INSERT INTO remote_health SELECT id, layout, ok_at, failed_at, failure FROM remote;
ALTER TABLE remote DROP COLUMN layout;
ALTER TABLE remote DROP COLUMN ok_at;
ALTER TABLE remote DROP COLUMN failed_at;
ALTER TABLE remote DROP COLUMN failure;

CREATE TABLE token_use(                                    -- a token's last use here
  token_id INTEGER PRIMARY KEY REFERENCES token(id) ON DELETE CASCADE,
  used_at INTEGER NOT NULL,                                -- written at most once an hour
  used_from TEXT                                           -- a client's address
) STRICT;
INSERT INTO token_use SELECT id, used_at, used_from FROM token WHERE used_at IS NOT NULL;
ALTER TABLE token DROP COLUMN used_at;
ALTER TABLE token DROP COLUMN used_from;

DROP INDEX inspection_bound;
CREATE INDEX inspection_bound ON inspection(blob_id, bound) WHERE bound <> ''; -- with what it says: reports are long
