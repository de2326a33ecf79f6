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
