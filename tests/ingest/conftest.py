"""A database that judges what readers make: its own COPY reads their pieces."""

from collections.abc import Iterator

import psycopg
import pytest

from ..conftest import Databases
from .stage import Stage


@pytest.fixture(scope="session")
def ingest_dsn(databases: Databases) -> Iterator[str]:
    """An empty database for the tests of this directory."""
    yield databases.create("ingest", None)
    databases.drop("ingest")


@pytest.fixture(scope="module")
def stage(ingest_dsn: str) -> Iterator[Stage]:
    """Tells what a stage holds after a reader's pieces were copied into it."""
    with psycopg.connect(ingest_dsn, autocommit=True) as conn:
        yield Stage(conn)
