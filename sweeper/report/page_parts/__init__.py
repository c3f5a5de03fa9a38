"""Parts of the page: what its template shows of answers, rows and the store, as finished texts."""
