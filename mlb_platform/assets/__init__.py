"""Dagster assets: raw tables, and every table of every mapping, made from the mappings alone."""
