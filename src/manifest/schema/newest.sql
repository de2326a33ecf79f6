-- The manifest as all steps together make it: a new one begins here. A test compares the two, and says what to write here after a new step.

CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE blob(
  id INTEGER PRIMARY KEY AUTOINCREMENT,                    -- never given twice: a command may remember a blob that gc took
  blake3 BLOB NOT NULL UNIQUE CHECK(length(blake3) = 32),
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),  -- a second BLAKE3 for a known SHA-256 is an alarm, not a row
  size INTEGER NOT NULL CHECK(size >= 0),
  created_at INTEGER NOT NULL,
  maybe_unreferenced_at INTEGER,
  used_at INTEGER, generation TEXT) STRICT;
CREATE INDEX blob_maybe_unreferenced ON blob(maybe_unreferenced_at) WHERE maybe_unreferenced_at IS NOT NULL;
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
  metadata_sha256 BLOB REFERENCES metadata(sha256), variant TEXT,
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
, accelerators TEXT, guard TEXT NOT NULL DEFAULT 'refuse' CHECK(guard IN ('refuse', 'warn')), guard_strict INTEGER NOT NULL DEFAULT 0 CHECK(guard_strict IN (0, 1)), reuse_filenames INTEGER NOT NULL DEFAULT 0 CHECK(reuse_filenames IN (0, 1)), hide_variants INTEGER NOT NULL DEFAULT 0 CHECK(hide_variants IN (0, 1)), cache_rules TEXT, open_projects TEXT NOT NULL DEFAULT '') STRICT;
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
  yanked TEXT, remote TEXT, url TEXT, is_unhashed INTEGER NOT NULL DEFAULT 0 CHECK(is_unhashed IN (0, 1)), provenance TEXT, is_prebuilt INTEGER NOT NULL DEFAULT 0 CHECK(is_prebuilt IN (0, 1)), source_url TEXT,                                             -- the reason, maybe ''
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
CREATE TABLE view(
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,
  store TEXT NOT NULL,                                     -- the store's own folder then: relative links break when it moves
  layout TEXT NOT NULL CHECK(layout IN ('simple', 'flat')),
  link TEXT NOT NULL CHECK(link IN ('symlink', 'hardlink', 'reflink', 'copy'))) STRICT;
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
CREATE TABLE inspection(                                   -- what accelerators a blob is bound to; found once per blob and engine
  blob_id INTEGER PRIMARY KEY REFERENCES blob(id) ON DELETE CASCADE,
  engine INTEGER NOT NULL,                                 -- the version of the rules; older ones are found anew
  is_deep INTEGER NOT NULL CHECK(is_deep IN (0, 1)),
  report TEXT NOT NULL                                     -- JSON
, bound TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE variant(                                      -- how new distributions of a variant are routed; its collection has its name
  name TEXT PRIMARY KEY,
  has_requirements INTEGER NOT NULL DEFAULT 0 CHECK(has_requirements IN (0, 1)),  -- an empty set is not "none"
  is_detecting INTEGER NOT NULL DEFAULT 0 CHECK(is_detecting IN (0, 1)),
  strategy TEXT NOT NULL DEFAULT 'nearest' CHECK(strategy IN ('nearest', 'union'))
, shares_pure INTEGER NOT NULL DEFAULT 0 CHECK(shares_pure IN (0, 1))) STRICT, WITHOUT ROWID;
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
  is_ours INTEGER NOT NULL DEFAULT 0 CHECK(is_ours IN (0, 1)), writes_back INTEGER NOT NULL DEFAULT 0 CHECK(writes_back IN (0, 1)), upload_url TEXT, follow_hosts TEXT NOT NULL DEFAULT '', is_optional INTEGER NOT NULL DEFAULT 0 CHECK(is_optional IN (0, 1)), signed_by TEXT) STRICT;
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
CREATE TABLE token(                                        -- who may do what over HTTP
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,                                      -- for people
  digest BLOB NOT NULL UNIQUE CHECK(length(digest) = 32),  -- BLAKE3 of the secret, which is shown once and kept nowhere
  collection TEXT,                                         -- a collection's or variant's name; NULL: all
  scope TEXT NOT NULL CHECK(scope IN ('read', 'upload', 'admin')), -- each includes those before it
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  collection_id INTEGER REFERENCES collection(id) ON DELETE SET NULL, is_blind INTEGER NOT NULL DEFAULT 0 CHECK(is_blind IN (0, 1)), project_patterns TEXT NOT NULL DEFAULT '', publisher TEXT, publisher_id INTEGER REFERENCES publisher(id) ON DELETE SET NULL, subject TEXT) STRICT;
CREATE TABLE project_status(                               -- PEP 792; no row: active
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  project TEXT NOT NULL,                                   -- normalised (PEP 503)
  status TEXT NOT NULL CHECK(status IN ('archived', 'quarantined', 'deprecated')),
  reason TEXT,
  PRIMARY KEY(collection_id, project)
) STRICT, WITHOUT ROWID;
CREATE TABLE variant_json(                                 -- what a variant wheel says of its variant, to the byte
  blob_id INTEGER PRIMARY KEY REFERENCES blob(id) ON DELETE CASCADE,
  bytes BLOB NOT NULL
) STRICT;
CREATE TABLE remote_failure(                               -- a remote that failed is left alone for a while
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  project TEXT NOT NULL,                                   -- '': all of it (refused, time-out); else this project's page
  failed_at INTEGER NOT NULL,
  reason TEXT NOT NULL, kind TEXT NOT NULL DEFAULT 'passing' CHECK(kind IN ('passing', 'lasting', 'slow', 'late')),
  PRIMARY KEY(remote_id, project)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE write_back(                                   -- files that are to go to a remote; gone when they are there, or can't be wanted any more
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  filename TEXT NOT NULL,
  blob_id INTEGER NOT NULL REFERENCES blob(id) ON DELETE CASCADE, -- it doesn't keep the blob: entries do
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE, -- whose entry it is
  queued_at INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  refusals INTEGER NOT NULL DEFAULT 0,                     -- how many of them the remote answered with a no that will hardly become a yes
  tried_at INTEGER,
  failure TEXT,                                            -- why the last try failed
  PRIMARY KEY(remote_id, filename, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX write_back_blob ON write_back(blob_id);
CREATE INDEX write_back_collection ON write_back(collection_id);
CREATE TABLE build_run(                                    -- what a command made of the same inputs (`wcas run`)
  key BLOB PRIMARY KEY CHECK(length(key) = 32),            -- BLAKE3 of the inputs
  inputs TEXT NOT NULL,                                    -- the inputs in words, as JSON: `--explain` compares them
  made_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE build_run_file(
  key BLOB NOT NULL REFERENCES build_run(key) ON DELETE CASCADE,
  filename TEXT NOT NULL,
  blob_id INTEGER NOT NULL REFERENCES blob(id) ON DELETE CASCADE, -- it doesn't keep the blob: entries do
  PRIMARY KEY(key, filename)
) STRICT, WITHOUT ROWID;
CREATE INDEX build_run_file_blob ON build_run_file(blob_id);
CREATE TABLE remote_refusal(                               -- a remote's file that the store won't have for a variant: it isn't listed there
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  variant TEXT NOT NULL,                                   -- for whom it was asked for: a variant's name, or a collection's
  filename TEXT NOT NULL,
  sha256 BLOB NOT NULL CHECK(length(sha256) IN (0, 32)),   -- what the page announced; '': nothing
  refused_at INTEGER NOT NULL,
  until INTEGER NOT NULL,                                  -- then it is listed and tried again
  reason TEXT NOT NULL, url TEXT,
  PRIMARY KEY(remote_id, variant, filename, sha256)
) STRICT, WITHOUT ROWID;
CREATE TABLE remote_metadata(                              -- METADATA of remotes' files that are not in the store yet, as each remote tells it
  remote_id INTEGER NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  file_sha256 BLOB NOT NULL CHECK(length(file_sha256) = 32),
  metadata_sha256 BLOB NOT NULL CHECK(length(metadata_sha256) = 32),
  fetched_at INTEGER NOT NULL,
  bytes BLOB NOT NULL,                                     -- deflated
  PRIMARY KEY(remote_id, file_sha256)
) STRICT;
CREATE INDEX remote_metadata_file ON remote_metadata(file_sha256);
CREATE TABLE owned_project(                                -- projects that a collection has, or had, and not from a stranger
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  project TEXT NOT NULL,
  owned_since INTEGER NOT NULL,
  has_upstream INTEGER NOT NULL CHECK(has_upstream IN (0, 1)), -- every file of it was made from somebody's source, as far as was told
  PRIMARY KEY(collection_id, project)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER entry_owned AFTER INSERT ON entry
WHEN new.remote IS NULL OR new.remote IN (SELECT name FROM remote WHERE is_ours) BEGIN
  INSERT INTO owned_project(collection_id, project, owned_since, has_upstream)
    SELECT new.collection_id, d.project, new.uploaded_at, new.source_url IS NOT NULL OR new.remote IS NOT NULL
    FROM distribution d WHERE d.blob_id = new.blob_id AND d.filename = new.filename
    ON CONFLICT DO UPDATE SET has_upstream = min(has_upstream, excluded.has_upstream) WHERE has_upstream > excluded.has_upstream;
END;
CREATE TABLE reservation(                                  -- names that a collection owns before it has a file
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  pattern TEXT NOT NULL,
  reason TEXT,
  reserved_at INTEGER NOT NULL,
  PRIMARY KEY(collection_id, pattern)
) STRICT, WITHOUT ROWID;
CREATE TABLE block(                                        -- versions and files that must not come back
  id INTEGER PRIMARY KEY,
  collection_id INTEGER REFERENCES collection(id) ON DELETE CASCADE, -- NULL: all, those to come, too
  spec TEXT NOT NULL,
  reason TEXT NOT NULL,
  blocked_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX block_spec ON block(coalesce(collection_id, 0), spec);
CREATE TABLE token_into(                                   -- where a route may lead its uploads, beside its own collection
  token_id INTEGER NOT NULL REFERENCES token(id) ON DELETE CASCADE,
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  PRIMARY KEY(token_id, collection_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_into_collection ON token_into(collection_id);
CREATE TABLE change(
  id INTEGER PRIMARY KEY,
  subject TEXT NOT NULL,                                   -- the table
  row TEXT NOT NULL,                                       -- which row of it, as JSON
  before TEXT, after TEXT                                  -- its values, as JSON; NULL: it was not there, it is gone
) STRICT;
CREATE TABLE record(                                       -- the log: each record vouches for all before it
  number INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  actor TEXT NOT NULL CHECK(actor IN ('user', 'token', 'anonymous', 'unknown')),
  actor_id INTEGER,                                        -- a user's or a token's number
  actor_name TEXT NOT NULL,
  origin TEXT NOT NULL,                                    -- the host, or a client's address
  command TEXT NOT NULL,
  name TEXT, collection TEXT, project TEXT, filename TEXT, sha256 BLOB,
  before TEXT, after TEXT,                                 -- what else there is to say of it, as JSON, without secrets
  digest BLOB NOT NULL CHECK(length(digest) = 32)          -- SHA-256 of the digest before it and of this record
) STRICT;
CREATE TABLE revision_signature(                           -- what somebody signed of a collection
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  revision INTEGER NOT NULL,
  digest BLOB NOT NULL CHECK(length(digest) = 32),         -- SHA-256 of the revision's text
  previous INTEGER,                                        -- the signed revision that the text names as the one before
  signature TEXT NOT NULL,                                 -- as `ssh-keygen -Y sign` made it
  signed_at INTEGER NOT NULL,
  text BLOB,                                               -- deflated; of the newest one, since gc takes what revisions had
  PRIMARY KEY(collection_id, revision)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER record_stays BEFORE UPDATE ON record BEGIN SELECT raise(ABORT, 'a record is never changed'); END;
CREATE INDEX remote_page_absent ON remote_page(remote_id, fetched_at) WHERE is_absent = 1;
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
CREATE INDEX token_publisher ON token(publisher_id) WHERE publisher_id IS NOT NULL;
CREATE TABLE exchanged(                                    -- tokens of a CI that were used: each is good once
  digest BLOB PRIMARY KEY CHECK(length(digest) = 32),      -- SHA-256 of the token without its signature, or of issuer and jti
  ends_at INTEGER NOT NULL                                 -- from then on it is good for nothing; forgotten a day later
) STRICT, WITHOUT ROWID;
CREATE INDEX exchanged_ends ON exchanged(ends_at);
CREATE INDEX entry_removed_filename ON entry(collection_id, filename) WHERE removed IS NOT NULL;
CREATE TABLE file(                                         -- bytes in this folder; a blob's row says that they belong to the store
  id INTEGER PRIMARY KEY AUTOINCREMENT,                    -- that of its blob, whose row comes after it and goes before it
  blake3 BLOB NOT NULL UNIQUE CHECK(length(blake3) = 32),
  size INTEGER NOT NULL CHECK(size >= 0),
  state TEXT NOT NULL CHECK(state IN ('staged', 'live', 'deleting', 'lost')),
  epoch INTEGER NOT NULL DEFAULT 0,                        -- moves when 'lost' is written: "set live" compares it
  inode INTEGER, modified_ns INTEGER,                      -- the file's stat when its bytes were last known to be right
  verified_at INTEGER                                      -- when verify last read all bytes
) STRICT;
CREATE INDEX file_not_live ON file(state) WHERE state <> 'live';
CREATE INDEX file_size ON file(size);
CREATE TABLE hold(                                         -- what a running command keeps: by digest, since no blob may have it yet
  session_id TEXT NOT NULL REFERENCES session(id) ON DELETE CASCADE,
  blake3 BLOB NOT NULL REFERENCES file(blake3) ON UPDATE CASCADE ON DELETE RESTRICT,
  PRIMARY KEY(session_id, blake3)
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_blake3 ON hold(blake3);
CREATE TRIGGER hold_deleted AFTER DELETE ON hold BEGIN
  UPDATE blob SET maybe_unreferenced_at = max(coalesce(maybe_unreferenced_at, 0), unixepoch())
  WHERE blake3 = old.blake3 AND NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = blob.id);
END;
CREATE TABLE here(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE view_shown(                                   -- what readers see of a tree
  view_id INTEGER PRIMARY KEY REFERENCES view(id) ON DELETE CASCADE,
  generation INTEGER NOT NULL,
  files INTEGER NOT NULL, projects INTEGER NOT NULL,
  losses INTEGER,                                          -- the folder's count of losses when it was made whole; NULL: it wasn't
  digest TEXT                                              -- of all that it shows; NULL: not known yet
) STRICT;
CREATE TABLE remote_health(                                -- how a remote answers here
  remote_id INTEGER PRIMARY KEY REFERENCES remote(id) ON DELETE CASCADE,
  layout TEXT,                                             -- found on first use: where its pages are; NULL: not known yet
  ok_at INTEGER, failed_at INTEGER, failure TEXT           -- the last answer, the last failure
) STRICT;
CREATE TABLE token_use(                                    -- a token's last use here
  token_id INTEGER PRIMARY KEY REFERENCES token(id) ON DELETE CASCADE,
  used_at INTEGER NOT NULL,                                -- written at most once an hour
  used_from TEXT                                           -- a client's address
) STRICT;
CREATE INDEX inspection_bound ON inspection(blob_id, bound) WHERE bound <> '';
CREATE TABLE node(                                         -- the folders that follow a shared store's log
  number INTEGER PRIMARY KEY AUTOINCREMENT,                -- never given twice: numbers of files begin with it
  name TEXT NOT NULL,
  joined_at INTEGER NOT NULL
) STRICT;
CREATE TABLE doomed(                                       -- objects in the bucket that no blob has any longer: swept after a grace
  key TEXT PRIMARY KEY,
  since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER blob_doomed AFTER DELETE ON blob WHEN old.generation IS NOT NULL BEGIN
  INSERT INTO doomed(key, since) VALUES(lower(hex(old.blake3)) || '.' || old.generation, unixepoch()) ON CONFLICT DO NOTHING;
END;
CREATE TABLE webhook(                                      -- who is told by HTTP when a collection changes
  id INTEGER PRIMARY KEY AUTOINCREMENT,                    -- never another's: deliveries refer to it
  collection_id INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  url TEXT NOT NULL,
  secret_file TEXT,                                        -- where the secret is that signs, never the secret; NULL: nothing signs
  events TEXT NOT NULL DEFAULT '',                         -- the changes that count, separated by commas; '': all
  is_gone INTEGER NOT NULL DEFAULT 0 CHECK(is_gone IN (0, 1)), -- it answered 410: nothing is sent any more
  UNIQUE(collection_id, url)
) STRICT;
CREATE TABLE delivery(                                     -- what a webhook is told, or was
  id INTEGER PRIMARY KEY AUTOINCREMENT,                    -- never another's: receivers know by it what they have had
  webhook_id INTEGER NOT NULL REFERENCES webhook(id) ON DELETE CASCADE,
  revision INTEGER,                                        -- NULL: a test
  queued_at INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting' CHECK(state IN ('waiting', 'delivered', 'failed', 'skipped')),
  tries INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL DEFAULT 0,                      -- not tried before
  claim TEXT, claimed_until INTEGER NOT NULL DEFAULT 0,    -- who sends it just now, and until when that is believed
  ended_at INTEGER,
  status INTEGER, answer TEXT,                             -- of the last try: the answer's status, and its beginning or why there was none
  CHECK((state = 'waiting') = (ended_at IS NULL))
) STRICT;
CREATE INDEX delivery_webhook ON delivery(webhook_id, id);
CREATE INDEX delivery_waiting ON delivery(webhook_id, id) WHERE state = 'waiting';
CREATE INDEX delivery_ended ON delivery(ended_at) WHERE ended_at IS NOT NULL;
CREATE TRIGGER revision_told AFTER INSERT ON revision BEGIN
  INSERT INTO delivery(webhook_id, revision, queued_at)
    SELECT w.id, new.number, o.at FROM webhook w JOIN operation o ON o.id = new.operation_id
    WHERE w.collection_id = new.collection_id AND w.is_gone = 0 ORDER BY w.id;
END;
CREATE TABLE download(                                     -- how often this folder gave a file, by day (days since 1970)
  sha256 BLOB NOT NULL CHECK(length(sha256) = 32),
  collection TEXT NOT NULL,                                -- the one that has it, by its name
  day INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY(sha256, collection, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX download_day ON download(day);
