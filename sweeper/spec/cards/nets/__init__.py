"""The architectures' cards, one a file: the same names as their builders' in `trials/archs`."""
