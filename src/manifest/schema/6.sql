-- The manifest, version 6: trust. Applied on top of version 5.

-- Names: whose a project is.

-- Tokens: what they may, where, how long.

-- History: what was done, and by whom; what a revision holds.

-- Budgets: what grows is bounded.

CREATE INDEX remote_page_absent ON remote_page(remote_id, fetched_at) WHERE is_absent = 1; -- anybody may ask for any name

-- End of version 6.
