-- The manifest, version 7: what is signed, and what follows upstream. Applied on top of version 6.

-- Remotes.

ALTER TABLE remote_refusal ADD COLUMN url TEXT;            -- the link that led nowhere; another link to the file is tried. NULL: whatever the link

ALTER TABLE remote_failure ADD COLUMN kind TEXT NOT NULL DEFAULT 'passing' CHECK(kind IN ('passing', 'lasting', 'slow', 'late')); -- whether to ask again
ALTER TABLE remote ADD COLUMN is_optional INTEGER NOT NULL DEFAULT 0 CHECK(is_optional IN (0, 1)); -- while it fails, farther ones answer
