-- The manifest, version 7: what is signed, and what follows upstream. Applied on top of version 6.

-- Remotes.

ALTER TABLE remote_refusal ADD COLUMN url TEXT;            -- the link that led nowhere; another link to the file is tried. NULL: whatever the link
