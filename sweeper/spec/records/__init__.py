"""Records of a sweep: tasks, their ids, and the rows of their results."""
