"""The documentation is built as a site: no link leads nowhere, no page fetches from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
# What a browser loads by itself, in contrast to a link that somebody follows.
LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]+)\"|<link\b([^>]*)>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `just docs` makes it; a warning, such as of a broken link, ends it."""
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs"]
    done = subprocess.run(
        [*command, "-d", place / "doctrees", ".", place / "html"],
        cwd=TOP, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return place / "html"


def test_every_markdown_file_is_a_page_and_every_link_leads_somewhere(site: Path) -> None:
    sources = [*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")]
    missing = [
        path.relative_to(TOP)
        for path in sources
        if not (site / path.relative_to(TOP)).with_suffix(".html").exists()
    ]
    assert len(sources) > 20
    assert missing == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = set()
    for page in site.rglob("*.html"):
        for source, link in LOADED.findall(page.read_text()):
            href = re.search(r"href=\"([^\"]+)\"", link)
            loaded.add(source or (href[1] if href else ""))
    assert len(loaded) > 5
    assert [url for url in sorted(loaded) if re.match(r"(https?:)?//", url)] == []


def test_links_into_pages_have_the_anchors_of_a_forge(site: Path) -> None:
    page = (site / "docs" / "reference" / "http" / "imports.html").read_text()
    assert 'id="get-v1importsjob_iderrors"' in page
