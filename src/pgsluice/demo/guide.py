"""What to try in the demo's system, for whoever has just started it."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

_TEXT = """
pgsluice runs at {url}, with a Postgres of its own and sample data:
{jobs}

look at
  {url}/                console
  {url}/docs            every call, to be tried there
try in another terminal
{export}  {me} jobs
  {me} errors {partial} --summary
  {me} rejects {partial} -o rejects.csv
  {me} import products {folder}/products_new.csv --dry-run
  {me} export users --fields email,name --filter role=admin --limit 3
  {me} resource describe products
  curl -s '{url}/v1/exports?resource=products&format=csv&on_sale=true&limit=3'
  curl -s -F file=@{folder}/products_new.csv '{url}/v1/imports?resource=products'
  {me} psql --data-dir {data} -c 'select * from sluice.jobs'
  SLUICE_STORE={files} {me} doctor --data-dir {data}

Ctrl-C stops it. The data stays for the next time; rm -r {kept} removes it.
"""


def guide(url: str, home: Path, kept: list[Path], jobs: list[dict[str, Any]]) -> str:
    """The text: what is there, what to try, and which directories are all that is kept."""
    partial = next(
        (job["job_id"] for job in jobs if job["resource"] == "products" and job["outcome"]), "last"
    )
    return _TEXT.format(
        url=url,
        jobs="\n".join(f"  {_line(job)}" for job in jobs),
        export="" if url == "http://127.0.0.1:8080" else f"  export SLUICE_URL={url}\n",
        me=_me(),
        partial=partial,
        folder=_word(home / "samples"),
        data=_word(home / "postgres"),
        files=_word(home / "files"),
        kept=" ".join(map(_word, kept)),
    )


def _line(job: dict[str, Any]) -> str:
    word = job["outcome"] or job["status"]
    dry = ", dry run" if job["dry_run"] else ""
    if job["kind"] == "export":
        return f"export of {job['resource'] or 'users, articles'}: {word}"
    counts = job["counts"]
    good = counts["inserted"] + counts["updated"] + counts["unchanged"]
    return (
        f"{job['file_name']} into {job['resource']}: {word}{dry}, {good:,} good, "
        f"{counts['rejected']:,} rejected"
    )


def _word(path: Path) -> str:
    return shlex.quote(str(path))


def _me() -> str:
    """How this program was called, so that its lines can be copied."""
    if Path(sys.argv[0]).name == "__main__.py":
        return f"{sys.executable} -m pgsluice"
    return "pgsluice" if shutil.which("pgsluice") else sys.argv[0]
