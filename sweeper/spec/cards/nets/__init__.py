"""Cards of the architectures, one a file, each named like the file of its builder in `trials/networks/archs`."""
