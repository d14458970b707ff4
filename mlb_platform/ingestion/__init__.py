"""How responses get into the raw store: one gate that every payload passes, and the sources that feed it."""
