"""The declarations of the commands: their arguments, options and help."""
