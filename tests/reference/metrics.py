"""The metrics, from what GET /metrics says and the alerts that ask for them."""

from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from .markdown import bullets, page, prose

_OURS = "bulk_import_export_"
_ABOUT = """\
`GET /metrics` gives them in the text format of Prometheus. Requests, jobs, records and the queue
are counted in Postgres over all processes, since the installation: scrape one process, or the
port behind which they stand. Only the pools are of the process that answers, and so are
`process_…` (memory, CPU and files; on Linux). `SLUICE_METRICS` switches them off,
`SLUICE_METRICS_KEY` closes them. [A dashboard and alerts](../operations/README.md) come along."""


def metrics_page(text: str, rules: list[dict[str, Any]]) -> str:
    """docs/reference/metrics.md, from a scrape of a service that has had work, and the alerts."""
    ours = [one for one in text_string_to_metric_families(text) if one.name.startswith(_OURS)]
    parts = [_ABOUT.replace("\n", " ")]
    for family in ours:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        facts = [f"Type: {family.type}", *_labels(family)]
        alerts = [rule["alert"] for rule in rules if family.name in rule["expr"]]
        if alerts:
            told = ", ".join(f"[{one}](../operations/runbook.md#{one.lower()})" for one in alerts)
            facts.append(f"Alerts: {told}")
        parts += [f"## {name}", prose(family.documentation), bullets(facts)]
    return page("Metrics", *parts)


def _labels(family: Metric) -> list[str]:
    names = dict.fromkeys(name for sample in family.samples for name in sample.labels)
    labels = [f"`{name}`" for name in names if name != "le"]
    return [f"Labels: {', '.join(labels)}"] if labels else []
