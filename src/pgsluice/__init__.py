"""pgsluice: bulk import and export for Postgres tables."""

__version__ = "0.1.0"
