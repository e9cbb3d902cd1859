"""Programs of others, each run as a process of its own with a task in JSON as its argument."""
