"""Asset checks: what the rules found, what is held back, and whether the two places of a table agree."""
