"""Measured claims, beside the peers they are measured against."""
