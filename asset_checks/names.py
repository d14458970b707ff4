"""The names of the checks that every table has."""

ERROR_RULES, WARN_RULES, PARITY, RELATIONSHIPS = "error_rules", "warn_rules", "parity", "relationships"
CHECK_NAMES = (ERROR_RULES, WARN_RULES, PARITY, RELATIONSHIPS)
