"""The command line. `main` declares the commands; each command imports its modules when it is called."""
