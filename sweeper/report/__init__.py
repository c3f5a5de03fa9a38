"""Everything that is made from a store for people: tables, charts, the HTML page, the comparison with the paper."""
