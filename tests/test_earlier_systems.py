"""docs/earlier-systems.md: what it names as proof is there."""

import re

from .conftest import TOP

PAGE = (TOP / "docs" / "earlier-systems.md").read_text()


def test_every_test_that_the_page_names_exists() -> None:
    named = []
    for line in PAGE.splitlines():
        file = ""
        for found in re.findall(r"`([\w/]*\.py)?::(test_\w+)`", line):
            file = found[0] or file
            named.append((file, found[1]))
    texts = {file: (TOP / "tests" / "api" / file).read_text() for file, _ in named}
    assert [name for file, name in named if f"def {name}(" not in texts[file]] == []
    assert set(texts) == {f"test_system_{letter}.py" for letter in "abcde"}
    assert len(named) >= 40


def test_the_readme_leads_there() -> None:
    assert "docs/earlier-systems.md" in (TOP / "README.md").read_text()
