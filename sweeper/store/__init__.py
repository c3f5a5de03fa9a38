"""The store of results: its parts, the lease of its driver, SQL queries, and statistics of gains."""
