"""How bytes move: Spark, PostgreSQL, Delta and the raw store. Knows no baseball and no mapping model."""
