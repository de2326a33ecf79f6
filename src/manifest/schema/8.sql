-- The manifest, version 8: what must not grow with the store. Applied on top of version 7.

-- Whether a filename once had other bytes is asked at every upload; the live one is found by entry_live.
CREATE INDEX entry_removed_filename ON entry(collection_id, filename) WHERE removed IS NOT NULL;
