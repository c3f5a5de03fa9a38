"""The command line: `main` declares the commands; each imports its modules when it is called."""
