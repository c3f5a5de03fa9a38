"""The definitions that every other package uses: jobs, cards, tasks, rows, ids."""
