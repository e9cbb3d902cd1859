"""What jobs look like, in our shape and in those of earlier systems."""

from typing import Any

from .models import (
    COUNTS,
    ERROR_CODES,
    STATUSES,
    Schema,
    listing,
    moment,
    record,
    ref,
    text,
    whole,
)

_TEXTS = listing(text())
_FLAG: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": ["number", "null"], "minimum": 0}
_PERCENT: Schema = {"type": "number", "minimum": 0, "maximum": 100}
_SHA = text(nullable=True, pattern="^[0-9a-f]{64}$")
_NULL: Schema = {"type": "null"}
_COUNTED: dict[str, Any] = dict.fromkeys(COUNTS, whole())


def _job(*, links: Schema, metrics: Schema, **more: Any) -> Schema:
    return record(
        "sample",
        "duplicate",
        "errors",
        "errors_truncated",
        job_id=text(format="uuid"),
        id=text(format="uuid"),
        kind=text(enum=["import", "export"]),
        resource=text(description="of an export of several: their names with commas"),
        format=text(nullable=True, description="null until the fetched file tells it"),
        file_name=text(nullable=True),
        source={
            "type": ["object", "null"],
            "description": "where the file was fetched from: url (without its query), source_path "
            "or object",
            "additionalProperties": text(),
        },
        status=text(enum=list(STATUSES)),
        phase=text(nullable=True, description="fetch, then cast, match, merge, finish"),
        outcome=text(nullable=True, description="clean or partial once completed"),
        dry_run={"enum": [True, False, "write"]},
        counts=record(**_COUNTED),
        progress=record(rows=whole(), percent=_PERCENT),
        metrics=metrics,
        ignored_fields=listing(text(), description="fields that no column has"),
        options={"type": "object", "description": "what was asked for, and what was found out"},
        error={"oneOf": [ref("JobProblem"), _NULL]},
        parent_job_id=text(nullable=True, format="uuid"),
        schedule=text(nullable=True, description="whose tick made it"),
        callback_url=text(nullable=True, description="without its query"),
        created_at=moment(),
        started_at=moment(nullable=True),
        completed_at=moment(nullable=True),
        expires_at=moment(nullable=True),
        links=links,
        duplicate={"const": True, "description": "made by an earlier request with this key"},
        **more,
    )


_NEST_METRICS: dict[str, Any] = dict.fromkeys(("rowsPerSecond", "durationMs"), _NUMBER)
_CAMEL: dict[str, Any] = {
    "createdAt": moment(),
    "startedAt": moment(nullable=True),
    "completedAt": moment(nullable=True),
}

JOBS: dict[str, Schema] = {
    "JobProblem": record(
        "status",
        "error",
        "instance",
        is_open=True,
        about="why a job has failed",
        type=text(),
        title=text(),
        status={"type": "integer"},
        detail=text(),
        error=text(),
    ),
    "RecordError": record(
        "sqlstate",
        about="what is wrong with a record",
        row=whole(description="number of the record, from 1"),
        line=whole(nullable=True, description="physical line in the file"),
        field=text(nullable=True),
        code=text(enum=list(ERROR_CODES)),
        constraint=text(nullable=True),
        message=text(),
        value=text(nullable=True),
        sqlstate=text(nullable=True, description="of code write"),
    ),
    "ImportJob": _job(
        links=record(
            "results",
            self=text(),
            errors=text(),
            rejects=text(),
            events=text(),
            results=text(description="of an import with results=true"),
        ),
        metrics={
            **record(
                is_open=True,
                rows_per_second=_NUMBER,
                error_rate=_NUMBER,
                duration_ms=_NUMBER,
                bytes=whole(nullable=True),
            ),
            "description": "and what single steps measured",
        },
        errors=listing(ref("RecordError"), maxItems=100),
        errors_truncated=_FLAG,
        sample={"description": "of a dry run: what some records would become"},
    ),
    "ExportJob": _job(
        links=record(self=text(), download=text(), events=text()),
        metrics=record(
            "exported",
            "expected",
            is_open=True,
            rows_per_second=_NUMBER,
            duration_ms=_NUMBER,
            bytes=whole(nullable=True),
            expected={"type": ["integer", "null"], "description": "rows, as Postgres estimates"},
            exported={"type": "object", "additionalProperties": whole()},
        ),
        resources=_TEXTS,
        exported=whole(description="rows"),
        bytes=whole(nullable=True),
        sha256={**_SHA, "description": "of its one file"},
        snapshot={
            "oneOf": [
                record(
                    time=moment(),
                    lsn=text(),
                    about="time and WAL position just before its snapshot",
                ),
                _NULL,
            ]
        },
        download_url=text(nullable=True, description="of its one file"),
        files=listing(ref("ExportFile")),
    ),
    "ExportFile": record(
        name=text(),
        resource=text(nullable=True, description="null: an archive of several"),
        exported=whole(description="rows"),
        bytes=whole(),
        sha256=_SHA,
        content_type=text(),
        expires_at=moment(nullable=True),
        download_url=text(nullable=True, description="null: the exported file is gone"),
    ),
    "Job": {"anyOf": [ref("ImportJob"), ref("ExportJob")]},
    "Jobs": record(
        jobs=listing(ref("Job"), description="without their errors"),
        next=text(nullable=True, description="cursor of the next page"),
    ),
    "ShapedJobs": record(
        about="with Accept-Profile",
        jobs=listing({"anyOf": [ref("RealworldJob"), ref("NestJob")]}),
        next=text(nullable=True),
    ),
    "RealworldJob": record(
        *("id", "type", "resource", "format", "error", "errors", "totalRecords", "successCount"),
        *("errorCount", "downloadUrl", "expiresAt", *_CAMEL, "duplicate"),
        about="profile realworld; the reply that has made it has job_id and status only",
        job_id=text(format="uuid"),
        id=text(format="uuid"),
        type=text(enum=["import", "export"]),
        resource=text(),
        format=text(nullable=True),
        status=text(enum=["accepted", *STATUSES]),
        error=text(nullable=True),
        totalRecords=whole(nullable=True),
        successCount=whole(),
        errorCount=whole(),
        errors=listing(
            record(
                recordIndex=whole(),
                errorMessage=text(nullable=True),
                errorType=text(enum=["VALIDATION_ERROR", "INTERNAL_ERROR"]),
                fields=_TEXTS,
                recordData={"description": "the record as it was sent"},
            ),
            maxItems=100,
        ),
        downloadUrl=text(nullable=True),
        expiresAt=moment(nullable=True),
        duplicate=_FLAG,
        **_CAMEL,
    ),
    "NestJob": record(
        *("errors", "totalRows", "processedRows", "successfulRows", "failedRows", "skippedRows"),
        *("format", "exportedRows", "fileSize", "expiresAt", "downloadUrl", "duplicate"),
        about="profile nest",
        id=text(format="uuid"),
        resourceType=text(),
        status=text(enum=list(STATUSES)),
        progressPercentage=_PERCENT,
        error=text(nullable=True),
        updatedAt=moment(),
        metrics=record(
            "errorRate",
            "totalBytes",
            errorRate=_NUMBER,
            totalBytes=whole(nullable=True),
            **_NEST_METRICS,
        ),
        totalRows=whole(nullable=True),
        processedRows=whole(),
        successfulRows=whole(),
        failedRows=whole(),
        skippedRows=whole(),
        errors=listing(
            record(
                row=whole(), field=text(nullable=True), message=text(), value=text(nullable=True)
            ),
            maxItems=100,
        ),
        format=text(nullable=True),
        exportedRows=whole(nullable=True),
        fileSize=whole(nullable=True),
        expiresAt=moment(nullable=True),
        downloadUrl=text(nullable=True, description="with its own permission; needs no key"),
        duplicate=_FLAG,
        **_CAMEL,
    ),
}
