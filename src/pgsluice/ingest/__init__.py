"""Bytes of an upload become records fit for COPY."""
