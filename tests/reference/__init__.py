"""docs/reference, the settings in README and .env.example are made from the source and compared.

PGSLUICE_SNAPSHOTS=write (`just reference`) makes them anew: look at the diff.
"""
