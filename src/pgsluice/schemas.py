"""What the service's documents look like: the schemas of the OpenAPI page."""

from .job_schemas import JOBS
from .models import (
    ERROR_CODES,
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
_SPOT = record(row=whole(), line=whole(nullable=True), value=text(nullable=True))

SCHEMAS: dict[str, Schema] = {
    "Problem": record(
        about="RFC 9457; `error` repeats `detail`",
        type=text(),
        title=text(),
        status={"type": "integer", "minimum": 400, "maximum": 599},
        detail=text(description="what is wrong and what to do"),
        instance=text(),
        error=text(),
    ),
    **JOBS,
    "Errors": record(
        errors=listing(ref("RecordError")),
        next=text(nullable=True, description="cursor of the next page"),
    ),
    "ErrorSummary": record(
        job_id=text(format="uuid"),
        records=whole(description="records with an error"),
        errors=whole(),
        groups=listing(
            record(
                field=text(nullable=True),
                code=text(enum=list(ERROR_CODES)),
                records=whole(),
                errors=whole(),
                example=_SPOT,
                constraints=listing(
                    record(
                        constraint=text(nullable=True),
                        records=whole(),
                        message=text(),
                        example=_SPOT,
                    )
                ),
            )
        ),
    ),
    "Resource": record(
        name=text(),
        table=text(),
        description=text(nullable=True),
        key=_TEXTS,
        fields=listing(
            record(
                *("default", "read_only", "identity", "values", "description", "aliases"),
                name=text(),
                type=text(description="of Postgres"),
                kind=text(description="how its values are read"),
                required=_FLAG,
                nullable=_FLAG,
                default=text(),
                read_only=_FLAG,
                identity=text(enum=["always", "by default"]),
                values=_TEXTS,
                description=text(),
                aliases=_TEXTS,
            )
        ),
        keys=listing(
            record(
                *("fields", "predicate"),
                name=text(),
                primary=_FLAG,
                fields=_TEXTS,
                expressions=_TEXTS,
                predicate=text(),
                nulls_not_distinct=_FLAG,
                deferrable=_FLAG,
            )
        ),
        rules=listing(
            record(
                "function",
                name=text(),
                kind=text(enum=["check", "rule"]),
                fields={"type": ["array", "null"], "items": text(nullable=True)},
                message=text(),
                function=text(),
                judged=text(enum=["before", "write"]),
            )
        ),
        references=listing(
            record(
                name=text(),
                fields=_TEXTS,
                table=text(),
                resource=text(nullable=True),
                target_fields=_TEXTS,
            )
        ),
        children={"description": "resources whose rows stand inside these"},
        parent={"description": "the resource inside which these stand, and by which field"},
        created_field=text(nullable=True),
        updated_field=text(nullable=True),
        triggers=_TEXTS,
    ),
    "Health": record(
        *("release", "queue", "workers", "replica", "error"),
        status=text(),
        release=text(),
        database={
            "oneOf": [
                record(status=text(), name=text(), version=text(), read_only=_FLAG),
                text(description="a word, when it does not answer"),
            ]
        },
        queue=record(
            status=text(), waiting=whole(), processing=whole(), oldest_seconds=whole(nullable=True)
        ),
        workers=record(
            alive=whole(),
            missing_logins=listing(text(), description="jobs wait for a worker that has them"),
        ),
        replica=ref("Replica"),
        error=text(),
    ),
    "Replica": record(
        "behind_bytes",
        about="the server of SLUICE_EXPORT_DATABASE_URL, where that is set",
        status=text(enum=["ok", "behind", "unavailable"]),
        behind_bytes=whole(description="of WAL that the primary has and it has not"),
    ),
    "Key": record(
        about="an API key, without its secret",
        name=text(),
        hint=text(description="how it begins"),
        state=text(enum=["active", "expired", "revoked"]),
        scopes=listing(text(enum=["import", "export", "admin"])),
        resources={"type": ["array", "null"], "items": text()},
        role=text(nullable=True),
        login=text(nullable=True),
        profile=text(nullable=True),
        rate_limit=whole(nullable=True),
        max_uploads=whole(nullable=True),
        max_bytes_per_day=whole(nullable=True),
        created_at=moment(),
        expires_at=moment(nullable=True),
        revoked_at=moment(nullable=True),
        last_used_at=moment(nullable=True),
    ),
    "Schedule": record(
        "ticks",
        name=text(),
        cron=text(),
        time_zone=text(),
        kind=text(enum=["import", "export"]),
        request={"type": "object"},
        missed=text(enum=["once", "skip"]),
        paused=_FLAG,
        next_at=moment(nullable=True),
        last_at=moment(nullable=True),
        last_job_id=text(nullable=True, format="uuid"),
        last_job_status=text(nullable=True),
        last_error=text(nullable=True),
        created_at=moment(),
        links=record(self=text(), last_job=text(nullable=True)),
        ticks=listing(
            record(
                due_at=moment(),
                fired_at=moment(nullable=True),
                worker=text(nullable=True),
                job_id=text(nullable=True, format="uuid"),
                job_status=text(nullable=True),
                error=text(nullable=True),
            ),
            maxItems=20,
        ),
    ),
    "Schedules": record(schedules=listing(ref("Schedule"))),
    "Deliveries": record(
        job_id=text(format="uuid"),
        callback_url=text(nullable=True),
        deliveries=listing(
            record(
                delivery_id=text(format="uuid"),
                url=text(nullable=True),
                state=text(),
                created_at=moment(),
                ended_at=moment(nullable=True),
                next_attempt_at=moment(nullable=True),
                attempts=listing(
                    record(
                        attempt=whole(),
                        at=moment(),
                        status={"type": ["integer", "null"]},
                        error=text(nullable=True),
                        duration_ms=whole(nullable=True),
                    )
                ),
            )
        ),
    ),
}
