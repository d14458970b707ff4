"""Quality rules: what a row may be, judged in the same pass that makes it."""
