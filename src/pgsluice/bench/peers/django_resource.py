"""django-import-export: a resource in bulk mode, tuned as its documentation says."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import django
import tablib
from django.conf import settings

from .task import Task, given

_FIELDS = {
    "uuid": "UUIDField",
    "boolean": "BooleanField",
    "integer": "IntegerField",
    "date": "DateField",
    "timestamptz": "DateTimeField",
    "text": "TextField",
}


def _configure(task: Task) -> None:
    parts = task.connection()
    settings.configure(
        USE_TZ=True,
        DATETIME_INPUT_FORMATS=["%Y-%m-%dT%H:%M:%S%z"],
        INSTALLED_APPS=["import_export"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts["name"],
                "USER": parts["user"],
                "PASSWORD": os.environ.get("PGPASSWORD", ""),
                "HOST": parts["host"],
                "PORT": parts["port"],
            }
        },
    )
    django.setup()


def _model(task: Task) -> Any:
    """A model of the table's own columns and types."""
    from django.contrib.postgres.fields import ArrayField
    from django.db import models

    body: dict[str, Any] = {"__module__": __name__}
    for name, kind in task.columns.items():
        if name == "id":
            body[name] = models.UUIDField(primary_key=True)
        elif kind.startswith("numeric"):
            body[name] = models.DecimalField(max_digits=12, decimal_places=2, null=True)
        elif kind == "text[]":
            body[name] = ArrayField(models.TextField())
        else:
            body[name] = getattr(models, _FIELDS[kind])(null=True)
    schema, table = task.schema_and_name
    names = {"db_table": f'"{schema}"."{table}"', "app_label": "import_export", "managed": False}
    body["Meta"] = type("Meta", (), names)
    return type("Row", (models.Model,), body)


def _resource(task: Task) -> Any:
    from import_export import resources
    from import_export.instance_loaders import CachedInstanceLoader

    options = {
        "model": _model(task),
        "import_id_fields": [task.key],
        "use_bulk": True,
        "batch_size": 1000,
        "skip_unchanged": True,
        "skip_html_diff": True,
        "report_skipped": False,
        "use_transactions": True,
        "instance_loader_class": CachedInstanceLoader,
    }
    written = [name for name in task.columns if name not in ("id", task.key)]
    body = {"Meta": type("Meta", (), options), "get_bulk_update_fields": lambda _self: written}
    made = type("Rows", (resources.ModelResource,), body)()
    for name, kind in task.columns.items():
        made.fields[name].default = None  # for an empty cell
        # what it has no widgets for stays text, which no row in the table equals
        if kind in _READ:
            made.fields[name].clean = _cell(name, _READ[kind])
    return made


def _cell(column: str, read: Callable[[str], Any]) -> Callable[..., Any]:
    return lambda row, **_: read(row[column]) if row[column] else None


def _array(text: str) -> list[str]:
    """The array as the cleaned file has it: {a,b}."""
    return text.strip("{}").split(",")


_READ: dict[str, Callable[[str], Any]] = {"uuid": UUID, "text[]": _array}


def load(task: Task) -> None:
    """Import the file in one transaction; fails when a row did."""
    dataset = tablib.Dataset().load(Path(task.file).read_text(), format="csv")
    result = _resource(task).import_data(dataset, raise_errors=True)
    if result.has_errors() or result.has_validation_errors():
        raise SystemExit(f"rows failed: {result.totals}")


def export(task: Task) -> int:
    """Write the table; the number of rows."""
    dataset = _resource(task).export()
    Path(task.file).write_text(dataset.export(task.kind))
    return len(dataset)


if __name__ == "__main__":
    asked = given()
    _configure(asked)
    if asked.kind in ("first", "again", "changed"):
        load(asked)
    else:
        print(export(asked))
