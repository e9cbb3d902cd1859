"""The README tells of every option of an import."""

from pathlib import Path

import psycopg

README = Path(__file__).parent.parent / "README.md"


def test_every_option_is_documented(conn: psycopg.Connection) -> None:
    names = conn.execute("select unnest(sluice.option_names())").fetchall()
    text = README.read_text()
    assert [name for (name,) in names if f"| `{name}` |" not in text] == []
