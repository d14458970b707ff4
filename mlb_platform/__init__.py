"""MLB data platform: raw Stats API responses become trustworthy tables."""

__version__ = "0.1.0"
