"""Parquet, by pyarrow: the extra `parquet`.

pyarrow is never loaded by the service itself. It takes some 60 MB, and what it reads is a binary
format in C++ of which anybody may send anything: `read` and `write` are programs of their own,
with a bound on their memory and without the service's secrets; `child` starts them.
"""
