-- The manifest, version 5: whose wheel. Applied on top of version 4.

ALTER TABLE variant ADD COLUMN shares_pure INTEGER NOT NULL DEFAULT 0 CHECK(shares_pure IN (0, 1)); -- pure wheels of its own projects may be shared

-- The accelerators that a blob requires or is, separated by commas; '': none that is known. A part of the report, to be searched.
ALTER TABLE inspection ADD COLUMN bound TEXT NOT NULL DEFAULT '';
UPDATE inspection SET bound = coalesce((
  SELECT group_concat(DISTINCT json_extract(f.value, '$.accelerator')) FROM json_each(report, '$.findings') f
  WHERE json_extract(f.value, '$.strength') IN ('requires', 'is')), '');
CREATE INDEX inspection_bound ON inspection(blob_id) WHERE bound <> '';

ALTER TABLE entry ADD COLUMN is_prebuilt INTEGER NOT NULL DEFAULT 0 CHECK(is_prebuilt IN (0, 1)); -- fetched, where others are built from source
ALTER TABLE entry ADD COLUMN source_url TEXT;              -- where a builder had the source, or the pre-built wheel, from; without credentials

ALTER TABLE remote ADD COLUMN is_ours INTEGER NOT NULL DEFAULT 0 CHECK(is_ours IN (0, 1)); -- a cache of the same organisation, no stranger
ALTER TABLE remote ADD COLUMN writes_back INTEGER NOT NULL DEFAULT 0 CHECK(writes_back IN (0, 1)); -- what is built here goes there, too
ALTER TABLE remote ADD COLUMN upload_url TEXT;             -- where files are uploaded to, where its own URL doesn't tell

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
