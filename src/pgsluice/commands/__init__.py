"""The commands of `pgsluice`: one module each, and the few things that they share."""
