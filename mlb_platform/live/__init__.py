"""Games followed while they are played: raw rows stream into the same merge as batch."""
