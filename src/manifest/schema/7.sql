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

-- Trusted publishing: whose CI may upload, and the tokens that were exchanged for a CI's.

CREATE TABLE publisher(
  id INTEGER PRIMARY KEY AUTOINCREMENT,                    -- never another's: tokens refer to it
  name TEXT NOT NULL UNIQUE,
  issuer TEXT NOT NULL,                                    -- as its tokens name it (iss)
  audience TEXT NOT NULL,                                  -- whom its tokens must be for (aud)
  claims TEXT NOT NULL,                                    -- what else they must say, as a JSON object
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE, -- the collection that it uploads to
  project_patterns TEXT NOT NULL DEFAULT '',               -- what it may upload, one pattern a line; '': all
  scope TEXT NOT NULL CHECK(scope IN ('upload', 'admin')),
  is_blind INTEGER NOT NULL CHECK(is_blind IN (0, 1))      -- it doesn't read
) STRICT;
CREATE INDEX publisher_collection ON publisher(collection_id);
CREATE TABLE publisher_into(                               -- where a route may lead its uploads, beside its own collection
  publisher_id INTEGER NOT NULL REFERENCES publisher(id) ON DELETE CASCADE,
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  PRIMARY KEY(publisher_id, collection_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX publisher_into_collection ON publisher_into(collection_id);

ALTER TABLE token ADD COLUMN publisher TEXT;               -- the publisher that it was made for, as it was called then; NULL: somebody made it
ALTER TABLE token ADD COLUMN publisher_id INTEGER REFERENCES publisher(id) ON DELETE SET NULL; -- that publisher, while it is there
ALTER TABLE token ADD COLUMN subject TEXT;                 -- whom the CI's token named (sub)
CREATE INDEX token_publisher ON token(publisher_id) WHERE publisher_id IS NOT NULL;

CREATE TABLE exchanged(                                    -- tokens of a CI that were used: each is good once
  digest BLOB PRIMARY KEY CHECK(length(digest) = 32),      -- SHA-256 of the token without its signature, or of issuer and jti
  ends_at INTEGER NOT NULL                                 -- from then on it is good for nothing; forgotten a day later
) STRICT, WITHOUT ROWID;
CREATE INDEX exchanged_ends ON exchanged(ends_at);
