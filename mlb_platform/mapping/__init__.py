"""The mapping language: one YAML file says how a response becomes tables. Imports pydantic, YAML and sqlglot only."""
