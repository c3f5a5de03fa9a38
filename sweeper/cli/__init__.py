"""The command line. `main` declares the commands; what each needs is imported when it is called."""
