"""A living system to look at: sample data of every resource, and jobs of every kind."""
