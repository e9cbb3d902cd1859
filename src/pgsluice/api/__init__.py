"""The HTTP surface: each handler parses, makes one call, replies."""
