-- The manifest, version 6: trust. Applied on top of version 5.

-- Names: whose a project is.

-- Tokens: what they may, where, how long.

-- History: what was done, and by whom; what a revision holds.

-- Budgets: what grows is bounded.

-- End of version 6.
