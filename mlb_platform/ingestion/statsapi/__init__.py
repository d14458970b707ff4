"""The MLB Stats API: its endpoints, how it is asked, and its answers on their way into the raw store."""
