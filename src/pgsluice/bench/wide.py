"""A table of 60 columns, and the script that an expert would write for it."""

from functools import cache

TABLE = "bench.wide"
# by the first letter of a column
_TYPES = {"t": "text", "n": "integer", "m": "numeric(12, 2)", "d": "date", "s": "timestamptz",
          "b": "boolean"}  # fmt: skip
_FIELDS = (
    *(f"t{n}" for n in range(1, 21)),
    *(f"n{n}" for n in range(1, 16)),
    *(f"m{n}" for n in range(1, 11)),
    *(f"d{n}" for n in range(1, 7)),
    *(f"s{n}" for n in range(1, 4)),
    *(f"b{n}" for n in range(1, 5)),
)
COLUMNS = ("id", "code", *_FIELDS)
TYPES = ("uuid", "text", *(_TYPES[name[0]] for name in _FIELDS))


def definition() -> str:
    """The commands that make and register the table."""
    fields = ", ".join(f"{name} {_TYPES[name[0]]}" for name in _FIELDS)
    return (
        "create schema if not exists bench; "
        "create table bench.wide (id uuid primary key, code text not null unique, "
        f"{fields}, check (n1 >= 0), check (length(t1) <= 100), check (m1 >= 0)); "
        "select sluice.register('wide', 'bench.wide')"
    )


def script() -> str:
    """Like the written scripts: to a temporary table, then one insert of what is valid."""
    typed = [name for name in _FIELDS if name[0] != "t"]
    texts = ", ".join(f"{name} text" for name in COLUMNS)
    valid = "\n    and ".join(
        f"(i.{name} is null or pg_input_is_valid(i.{name}, '{_TYPES[name[0]]}'))" for name in typed
    )
    cast = ", ".join(
        f"i.{name}" if name[0] == "t" else f"i.{name}::{_TYPES[name[0]]}" for name in _FIELDS
    )
    changes = ", ".join(f"{name} = excluded.{name}" for name in _FIELDS)
    listed = ", ".join(COLUMNS)
    return f"""\\set ON_ERROR_STOP on
set jit = off;
set synchronous_commit = on;
begin;
create temporary table incoming (
    n bigint generated always as identity, {texts}
) on commit drop;
\\copy incoming ({listed}) from pstdin with (format csv, header)
analyze incoming;
insert into bench.wide ({listed})
select distinct on (i.code) i.id::uuid, i.code, {cast}
from incoming as i
where i.code is not null and pg_input_is_valid(i.id, 'uuid')
    and {valid}
    and case when pg_input_is_valid(i.n1, 'integer') then i.n1::integer >= 0 else i.n1 is null end
    and case
        when pg_input_is_valid(i.m1, 'numeric(12, 2)') then i.m1::numeric(12, 2) >= 0
        else i.m1 is null
    end
    and (i.t1 is null or length(i.t1) <= 100)
order by i.code asc, i.n asc
on conflict (code) do update set {changes};
commit;
"""


def _tail(n: int) -> str:
    cells = []
    for name in _FIELDS[1:]:
        which = int(name[1:])
        if name == "n1":
            cells.append("{}")
        elif (n + which) % 11 == 0:
            cells.append("")
        elif name[0] == "t":
            cells.append(f"text {n * which % 5003}")
        elif name[0] == "n":
            cells.append(str(n * which % 100_003))
        elif name[0] == "m":
            cells.append(f"{n * which % 70_001}.{n % 10}{which % 10}")
        elif name[0] == "d":
            cells.append(f"20{n % 30:02}-{which:02}-{n % 28 + 1:02}")
        elif name[0] == "s":
            cells.append(f"2026-{which:02}-{n % 28 + 1:02}T12:{n % 60:02}:00Z")
        else:
            cells.append("true" if (n + which) % 2 else "false")
    return ",".join(cells) + "\n"


@cache
def _tails() -> list[str]:
    return [_tail(n) for n in range(997)]


def line(key: str, code: str, n1: str, t1: str, n: int) -> str:
    """A line of CSV; all but its first cells repeat after 997 lines."""
    return f"{key},{code},{t1},{_tails()[n % 997].format(n1)}"
