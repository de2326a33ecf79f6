ALTER TABLE blob ADD COLUMN generation TEXT;                 -- the end of its object's key in a shared store's bucket; NULL: it has none
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
