"""What a date needs from the API, and how it is fetched: planned from what the raw store has, one step at a time."""
