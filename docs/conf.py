"""The documentation as a site: `just docs`. Its pages are the Markdown files as a forge shows them.

The source is the whole repository, so that a link from README to docs, or back, is checked too.
"""

from sphinx.application import Sphinx

project = "pgsluice"
html_title = "pgsluice"
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "build", "db", "sql", "src", "tests"]

extensions = ["myst_parser"]
# headings have the anchors that they have on a forge
myst_heading_anchors = 4
# psql's own commands in a block of SQL
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "github-dark"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
templates_path = ["site"]
# "/" leads to the first page, which stands below /docs/ as in the repository
html_additional_pages = {"index": "start.html"}
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_use_index = False

# What stands at the side: caption -> pages, for each page that has others below it. The files do
# without, since a forge would show it as code.
NAVIGATION = {
    "docs/index": {
        "Learn": ["docs/tutorial", "docs/console"],
        "How to": [
            "docs/how-to/own-table",
            "docs/how-to/rules",
            "docs/how-to/mend",
            "docs/how-to/excel",
            "docs/how-to/elsewhere",
            "docs/how-to/s3",
            "docs/how-to/schedules",
            "docs/how-to/webhooks",
            "docs/how-to/keys",
            "docs/how-to/psql",
            "docs/how-to/scale",
            "docs/how-to/upgrade",
            "docs/earlier-systems",
        ],
        "Look up": ["docs/reference/index"],
        "Understand": [
            "docs/explanation/how-it-works",
            "docs/explanation/trade-offs",
            "docs/explanation/peers",
            "docs/performance",
            "SECURITY",
        ],
        "Operate": ["docs/operations/README", "docs/operations/runbook"],
        "The project": ["README </README>", "CHANGELOG", "CONTRIBUTING"],
    },
    "docs/reference/index": {
        "": [
            "docs/reference/http/index",
            "docs/reference/sql",
            "docs/reference/command-line",
            "docs/reference/options",
            "docs/reference/settings",
            "docs/reference/errors",
            "docs/reference/metrics",
        ]
    },
    "docs/reference/http/index": {
        "": [
            f"docs/reference/http/{name}"
            for name in (
                "imports",
                "exports",
                "jobs",
                "resources",
                "schedules",
                "keys",
                "service",
                "objects",
                "earlier-systems",
            )
        ]
    },
}


def setup(app: Sphinx) -> None:
    """Give pages what stands at their side."""
    app.connect("source-read", _navigate)


def _navigate(_app: Sphinx, page: str, text: list[str]) -> None:
    for caption, pages in NAVIGATION.get(page, {}).items():
        lines = [":hidden:", f":caption: {caption}" if caption else "", ""]
        tree = "\n".join([*lines, *(name if " <" in name else f"/{name}" for name in pages)])
        text[0] += f"\n\n```{{toctree}}\n{tree}\n```\n"
