"""From a mapping to rows: a pruned schema, one parse, one projection for all tables, one merge."""
