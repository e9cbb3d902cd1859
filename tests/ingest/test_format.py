"""The format comes from the option, then the name, then the content type."""

import pytest

from pgsluice.ingest.errors import BadOption
from pgsluice.ingest.format import Format, detect


@pytest.mark.parametrize(
    ("option", "name", "mime", "found"),
    [
        ("csv", None, None, Format("csv")),
        ("NDJSON", "x.csv", "text/csv", Format("ndjson")),
        ("csv", "x.tsv.gz", None, Format("csv", "gzip", b"\t")),
        ("json", "dump.zst", None, Format("json", "zstd")),
        (None, "users.csv", "application/json", Format("csv")),
        (None, "USERS.CSV.GZ", None, Format("csv", "gzip")),
        (None, "a.b/users.tsv", None, Format("csv", None, b"\t")),
        (None, "C:\\data\\users.jsonl.zst", None, Format("ndjson", "zstd")),
        (None, "users.json", "application/octet-stream", Format("json")),
        (None, "users.dat", "text/csv; charset=utf-8", Format("csv")),
        (None, "users.gz", "application/x-ndjson", Format("ndjson", "gzip")),
        (None, None, "application/jsonl", Format("ndjson")),
        (None, None, "application/json", Format("json")),
        (None, None, "text/tab-separated-values", Format("csv", None, b"\t")),
    ],
)
def test_a_format_is_found(
    option: str | None, name: str | None, mime: str | None, found: Format
) -> None:
    assert detect(option, name, mime) == found


@pytest.mark.parametrize(
    ("option", "name", "mime", "words"),
    [
        ("xml", "x.csv", None, "format 'xml'"),
        ("", "x.csv", None, "format ''"),
        (None, "users.docx", "application/octet-stream", "the file 'users.docx'"),
        (None, None, "application/octet-stream", "'application/octet-stream'"),
        (None, None, None, "the body"),
        (None, "", "", "the body"),
    ],
)
def test_what_says_no_format_is_refused_with_what_is_accepted(
    option: str | None, name: str | None, mime: str | None, words: str
) -> None:
    with pytest.raises(BadOption, match=r"csv, ndjson, json, xlsx or parquet") as caught:
        detect(option, name, mime)
    assert words in str(caught.value)
