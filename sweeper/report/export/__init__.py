"""A store in the forms of other programs: files and folders of rows, and runs of experiment trackers."""
