-- The manifest, version 7: what is signed, and what follows upstream. Applied on top of version 6.

-- Remotes.

ALTER TABLE remote_refusal ADD COLUMN url TEXT;            -- the link that led nowhere; another link to the file is tried. NULL: whatever the link

ALTER TABLE remote_failure ADD COLUMN kind TEXT NOT NULL DEFAULT 'passing' CHECK(kind IN ('passing', 'lasting', 'slow', 'late')); -- whether to ask again
ALTER TABLE remote ADD COLUMN is_optional INTEGER NOT NULL DEFAULT 0 CHECK(is_optional IN (0, 1)); -- while it fails, farther ones answer

-- Signed remotes: what another wcas's collection has, as somebody signed it.

ALTER TABLE remote ADD COLUMN signed_by TEXT;              -- who may sign its list, as a file of allowed signers says it; NULL: it needs none
CREATE TABLE remote_list(                                  -- the list that was taken last: no older one is taken after it
  remote_id INTEGER PRIMARY KEY REFERENCES remote(id) ON DELETE CASCADE,
  asked_at INTEGER NOT NULL,
  refusal TEXT,                                            -- why nothing of the remote is taken just now
  revision INTEGER, digest BLOB CHECK(length(digest) = 32), signer TEXT, -- NULL: none was good yet
  etag TEXT, last_modified TEXT
) STRICT;
CREATE TABLE remote_list_file(
  remote_id INTEGER NOT NULL REFERENCES remote_list(remote_id) ON DELETE CASCADE,
  filename TEXT NOT NULL,
  sha256 BLOB NOT NULL CHECK(length(sha256) = 32),
  size INTEGER NOT NULL,
  yanked TEXT,
  PRIMARY KEY(remote_id, filename)
) STRICT, WITHOUT ROWID;
