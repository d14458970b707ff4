"""Where the value of a cell comes from: the capture, the place in it, and what became of it on the way."""
