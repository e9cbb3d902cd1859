"""`pgsluice bench`: this service against psql and peers, in one run on one database."""
