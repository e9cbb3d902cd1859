"""`pgsluice bench`: this service against an expert's psql script, as ratios in one run."""
