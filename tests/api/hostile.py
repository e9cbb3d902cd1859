"""Records that break things, as a table: what is sent, what is rejected, and in what words."""

from typing import NamedTuple

DEEP = 200_000


def brackets(levels: int) -> bytes:
    """A list in a list in a list, closed again."""
    return b"[" * levels + b"]" * levels


class Bad(NamedTuple):
    """One rejected record: its row, its line, its error's code and field, a word of the message."""

    row: int
    line: int
    code: str
    word: str
    field: str | None = None


class Case(NamedTuple):
    """A file of some good records and the bad ones among them."""

    name: str
    format: str
    body: bytes
    good: int
    bad: tuple[Bad, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


def csv(name: str, rows: bytes, good: int, *bad: Bad, **options: str) -> Case:
    """A CSV file with the header id,name unless the rows bring their own behind `=`."""
    body = rows[1:] if rows.startswith(b"=") else b"id,name\n" + rows
    return Case(name, "csv", body, good, bad, tuple(options.items()))


def lines(name: str, body: bytes, good: int, *bad: Bad) -> Case:
    """An NDJSON file."""
    return Case(name, "ndjson", body, good, bad)


def array(name: str, body: bytes, good: int, *bad: Bad) -> Case:
    """A JSON array; all of it stands in line 1."""
    return Case(name, "json", b"[" + body + b"]", good, bad)


def objects(name: str, body: bytes, good: int, *bad: Bad) -> Case:
    """A JSON file of one object after the other."""
    return Case(name, "json", body, good, bad)


def bad(row: int, word: str, line: int | None = None, code: str = "malformed") -> Bad:
    """A malformed record; of a CSV file without line ends in cells the line is row + 1."""
    return Bad(row, line or row, code, word)


def wrong(row: int, line: int, field: str, word: str) -> Bad:
    """A record with a value that its type does not take."""
    return Bad(row, line, "type", word, field)


NESTED = [b'{"id":1}', b'{"id":2,"data":%s}', b'{"id":3}', b"%s", b'{"id":4}']
MIXED = [b"1", b'"x"', b"null", b"true", b"[]", b'[{"id":8}]', b'{"id":9}']
TOLD = ["number", "string", "null", "boolean", "array", "array"]
NUMBERS = (
    b'{"id":1,"ratio":1e999999}',
    b'{"id":2,"amount":1000}',
    b'{"id":99999999999}',
    b'{"id":4,"large":9223372036854775808}',
    b'{"id":5,"data":{"a":1e999999}}',
    b'{"id":6,"ratio":0.1}',
)
SURROGATES = (
    rb'{"id":1,"name":"\ud800"}',
    rb'{"id":2,"name":"\udc00x"}',
    rb'{"id":3,"data":{"k":"\ud83d"}}',
    rb'{"id":4,"name":"\ud83d\ude00"}',
    b'{"id":5,"name":"\xed\xa0\x80"}',
)


def _numbers(line: int) -> tuple[Bad, ...]:
    return (
        bad(1, "overflows", 1),
        wrong(2, 2 * line or 1, "amount", "precision 5, scale 2"),
        wrong(3, 3 * line or 1, "id", "out of range"),
        wrong(4, 4 * line or 1, "large", "out of range"),
        bad(5, "overflows", 5 * line or 1),
    )


def _surrogates(line: int) -> tuple[Bad, ...]:
    halves = [bad(row, "surrogate", row * line or 1) for row in (1, 2, 3)]
    return (*halves, bad(5, "not valid UTF-8", 5 * line or 1))


def _deep(levels: int) -> tuple[Case, ...]:
    records = [record.replace(b"%s", brackets(levels)) for record in NESTED]
    told = "nested deeper than 1,000 levels: flatten it"
    return (
        lines(f"{levels} levels", b"\n".join(records), 3, bad(2, told), bad(4, told)),
        array(f"{levels} levels", b",".join(records), 3, bad(2, told, 1), bad(4, told, 1)),
        objects(f"{levels} levels in objects", b"\n".join(records), 3, bad(2, told), bad(4, told)),
    )


CASES = [
    csv(
        "ragged rows",
        b"1,a\n2\n3,b,c\n4,d\n",
        2,
        bad(2, "expected 2 cells, found 1: add", 3),
        bad(3, "expected 2 cells, found 3: quote", 4),
    ),
    csv("an unclosed quote", b'1,a\n2,"b\n3,c\n4,d\n', 3, bad(2, "never closed: close it", 3)),
    csv(
        "quotes inside cells",
        b'1,a\n2,b"x"\n3,"c"d\n4,"e""e"\n',
        2,
        bad(2, "put the whole cell in quotes", 3),
        bad(3, "double a quote", 4),
    ),
    csv(
        "bytes that are not UTF-8",
        b"1,a\n2,\xff\xfe\n3,\xe9t\xe9\n4,d\n",
        2,
        bad(2, "save the file as UTF-8", 3),
        bad(3, "save the file as UTF-8", 4),
    ),
    lines("bytes that are not UTF-8", b'{"id":1}\n{"id":2,"name":"\xe9"}\n', 1, bad(2, "UTF-8")),
    array("bytes that are not UTF-8", b'{"id":1},{"id":2,"name":"\xe9"}', 1, bad(2, "UTF-8", 1)),
    csv("a NUL byte", b"1,a\n2,x\0y\n3,b\n", 2, bad(2, "NUL byte, which no text can hold", 3)),
    lines("a NUL byte", b'{"id":1}\n{"id":2,"name":"\0"}\n{"id":3}\n', 2, bad(2, "NUL byte")),
    array("a NUL byte", b'{"id":1},{"id":2,"name":"\0"},{"id":3}', 2, bad(2, "NUL byte", 1)),
    lines(
        "NUL by escape",
        rb'{"id":1,"name":"a\u0000b"}' + b"\n" + rb'{"id":2,"data":{"\u0000":1}}' + b'\n{"id":3}',
        1,
        bad(1, r"\u0000 cannot be converted to text): mend it"),
        bad(2, r"\u0000 cannot be converted to text): mend it"),
    ),
    array("NUL by escape", rb'{"id":1},{"id":2,"name":"\u0000"}', 1, bad(2, r"\u0000", 1)),
    csv("bytes 1 and 2", b"1,a\x01\n2,\x02\n3,\x01\x02\x01\n", 3),
    lines(
        "bytes 1 and 2",
        b'{"id":1,"name":"\x01"}\n{"id":2,"name":"\\u0001\\u0002"}\n\x01\x02\n{"id":4}\n',
        2,
        bad(1, "must be escaped"),
        bad(3, "mend it"),
    ),
    csv("an end-of-data mark", b"1,a\n\\.\n3,\\.\n", 2, bad(2, "found 1", 3)),
    csv("an end-of-data mark alone", b"=id\n1\n\\.\n3\n", 2, wrong(2, 3, "id", "invalid input")),
    lines("an end-of-data mark", b'{"id":1}\n\\.\n{"id":3}\n', 2, bad(2, "mend it")),
    objects("an end-of-data mark", b'{"id":1}\n\\.\n{"id":3}\n', 2, bad(2, "mend it")),
    csv("a header and nothing else", b"", 0),
    csv("a header without a line end", b"=id,name", 0),
    lines("nothing", b"", 0),
    array("nothing", b"", 0),
    csv(
        "a header with spaces and other case",
        b"= ID , Na me\n1,a\n",
        1,
        mapping='{" Na me":"name"}',
    ),
    csv("a header in camelCase", b"=id,CreatedAt\n1,2024-01-02\n", 1),
    csv("blank lines", b"\n1,a\n\n\n2,b\n\r\n", 2),
    csv(
        "1,000 columns",
        b"=id,"
        + b",".join(b"x%d" % i for i in range(999))
        + b"\n1"
        + b",0123456789" * 999
        + b"\n2\n",
        1,
        bad(2, "expected 1000 cells, found 1", 3),
        unknown_fields="ignore",
    ),
    *_deep(1_001),
    *_deep(DEEP),
    csv(
        "a cell of many brackets",
        b"=id,data\n1,{}\n2," + b"[" * DEEP + b"\n3," + brackets(DEEP) + b"\n4,[]\n",
        2,
        bad(2, "deeper than Postgres can read: flatten it", 3),
        bad(3, "deeper than Postgres can read: flatten it", 4),
    ),
    csv(
        "an array of many braces",
        b"=id,tags\n1,{a}\n2," + b"{" * DEEP + b"\n3,[]\n",
        2,
        wrong(2, 3, "tags", "dimensions"),
    ),
    lines("scalars", b"\n".join(MIXED), 1, *(bad(n, f"found {w}") for n, w in enumerate(TOLD, 1))),
    array(
        "scalars", b",".join(MIXED), 1, *(bad(n, f"found {w}", 1) for n, w in enumerate(TOLD, 1))
    ),
    lines("a key twice", b'{"id":1,"id":2,"name":"a","name":"b"}\n', 1),
    lines(
        "NaN and Infinity",
        b'{"id":1,"ratio":NaN}\n{"id":2,"ratio":-Infinity}\n{"id":3,"ratio":"NaN"}\n'
        b'{"id":4,"ratio":"-Infinity"}\n',
        2,
        bad(1, "mend it"),
        bad(2, "mend it"),
    ),
    array("NaN", b'{"id":1},{"id":2,"ratio":NaN}', 1, bad(2, "mend it", 1)),
    csv(
        "NaN and Infinity",
        b"=id,ratio,amount\n1,NaN,NaN\n2,-inf,1\n3,1,Infinity\n",
        2,
        wrong(3, 4, "amount", "infinite"),
    ),
    csv(
        "numbers beyond range",
        b"=id,ratio,amount,large\n1,1e999999,1,1\n2,1,1000,1\n99999999999,1,1,1\n"
        b"4,1,1,9223372036854775808\n5,0.1,999.99,1\n",
        1,
        wrong(1, 2, "ratio", "out of range"),
        wrong(2, 3, "amount", "precision 5, scale 2"),
        wrong(3, 4, "id", "out of range"),
        wrong(4, 5, "large", "out of range"),
    ),
    lines("numbers beyond range", b"\n".join(NUMBERS), 1, *_numbers(1)),
    array("numbers beyond range", b",".join(NUMBERS), 1, *_numbers(0)),
    lines("lone surrogates", b"\n".join(SURROGATES), 1, *_surrogates(1)),
    array("lone surrogates", b",".join(SURROGATES), 1, *_surrogates(0)),
    csv("UTF-16", b"=" + "id,name\n1,Ü\n2,😀\n".encode("utf-16"), 2),
    csv("UTF-16 as said", b"=" + "id,name\n1,Ü\n".encode("utf-16-be"), 1, encoding="utf-16-be"),
    csv(
        "half a character of UTF-16",
        b"=" + "id,name\n1,a\n2,".encode("utf-16") + b"\x0a\xd8" + "\n3,c\n".encode("utf-16-le"),
        2,
        bad(2, "UTF-8", 3),
    ),
    lines("UTF-16", '{"id":1,"name":"Ü"}\n{"id":2}'.encode("utf-16"), 2),
    array("a BOM", b'{"id":1}', 1)._replace(body=b'\xef\xbb\xbf[{"id":1}]'),
    csv("windows-1252", b"1,\xdc\x80\n2,b\n", 2, encoding="windows-1252"),
    csv("no such character", b"1,\x81\n2,b\n", 1, bad(1, "UTF-8", 2), encoding="windows-1252"),
    csv("semicolons", b'=id;name\n1;a\n2;"x;y"\n', 2),
    csv("tabs", b"=id\tname\n1\ta\n", 1),
    csv("pipes", b"=id|name\n1|a\n", 1),
    csv("a delimiter as said", b"=id;name\n1;a\n", 1, delimiter="semicolon"),
    csv("CRLF", b'=id,name\r\n1,a\r\n2,"b\r\nc"\r\n', 2),
    csv("CR alone", b"=id,name\r1,a\r2,b\r", 2),
    csv("mixed line ends", b"1,a\r\n2,b\n3,c\r4,d\n5,e\r\n", 3, bad(3, "carriage return", 4)),
    csv(
        "SQL in a header",
        b'=id,"x\'); drop table hostile.things; --","%s%I"""\n1,a,b\nz,c,d\n',
        1,
        wrong(2, 3, "id", "invalid input"),
        unknown_fields="ignore",
    ),
    csv("SQL in a cell", b"1,'); drop table hostile.things; --\n2,${jndi:ldap://x}\n", 2),
    lines(
        "SQL in a key",
        b'{"id":1,"x\'); drop table hostile.things; --":1}\n{"id":2}\n',
        1,
        Bad(1, 1, "unknown_field", "no field", "x'); drop table hostile.things; --"),
    ),
    csv("SQL in a mapping", b"=id,x'y\n1,a\n", 1, mapping='{"x\'y":"name"}'),
    csv("SQL in a default", b"1,a\n", 1, defaults='{"data":"\\"\'); drop schema sluice; --\\""}'),
    csv(
        "the service's own names", b"=id,_n,_malformed,ctid\n1,a,b,c\n", 1, unknown_fields="ignore"
    ),
]
