"""POST imports: what stands in the head is judged first, then the body streams into a stage."""

from functools import partial
from typing import Any

from litestar import Response, post

from ..database import call
from ..ingest.body import as_format, recognised
from ..ingest.format import Format, detect
from ..ingest.intake import Promise, UploadIntake
from ..ingest.receive import Upload
from ..ingest.xlsx import SheetOptions
from . import import_doc, options
from .accepted import accepted, replayed
from .head import format_of, judge_head, judge_options, judge_source, least_size, require_resource
from .idempotency import SCOPE, beat, claimed, compare, read_key
from .incoming import MULTIPART, IncomingFile, Received, media_type_of, opened
from .profile import defaults_of
from .query import parse_query
from .quota import within_quota
from .service import AnyRequest, Service, service_of
from .urls import check_urls


@post("/imports", opt=import_doc.POST, status_code=202)
async def post_import(request: AnyRequest) -> Response[bytes]:
    """Take a file in, and reply once its commit has made it a job."""
    service = service_of(request)
    key = read_key(request.headers.get("idempotency-key"))
    received = Received(parse_query(request.scope["query_string"], options.KNOWN))
    received.query.defaults = defaults_of(request)
    await judge_head(request, service, received.query)
    with service.upload_slot():
        async with claimed(service, key) as first:
            if first is not None:
                await _compare(request, received, first)
                return await replayed(request, service, first)
            async with within_quota(service.pool, least_size(request)):
                job = await _receive(request, service, received, key)
    return await accepted(request, service, job, key, SCOPE)


async def _receive(
    request: AnyRequest, service: Service, received: Received, key: str | None
) -> dict[str, Any]:
    """The job that the commit of the last part has made of the upload."""
    upload: Upload | None = None
    try:
        async with opened(request, received) as file:
            values = received.values
            if received.form.values:
                await judge_options(service, values)
            if file is None:
                return await _fetch(service, received, key)
            if media_type_of(request) != MULTIPART:
                require_resource(values)
            tell = partial(format_of, values, file.name, file.media_type)
            kind, body = await recognised(tell, file.body, is_given="format" in values)
            received.format = kind.format
            upload = _upload(service, values, file, kind, key)
            text = as_format(
                body,
                kind,
                content_encoding=request.headers.get("content-encoding"),
                encoding=values.get("encoding"),
                max_bytes=service.settings.max_upload_bytes,
            )
            await upload.receive(text)
        return await _finish(service, received, upload, key)
    except BaseException:
        if upload is not None:
            await upload.abort()
        raise


def _upload(
    service: Service, values: dict[str, str], file: IncomingFile, kind: Format, key: str | None
) -> Upload:
    return Upload(
        service.uploads,
        format_name=kind.format,
        options=options.for_sql({name: values[name] for name in options.PARSING if name in values}),
        file_name=values.get("file_name") or file.name,
        delimiter=kind.delimiter,
        max_record_bytes=service.settings.max_record_bytes,
        sheet=SheetOptions(
            values.get("sheet"), values.get("decimal", "."), service.settings.max_upload_bytes
        ),
        beat=partial(beat, key),
        intake=UploadIntake(
            Promise(values["resource"], options.for_sql(values)) if "resource" in values else None
        ),
    )


async def _finish(
    service: Service, received: Received, upload: Upload, key: str | None
) -> dict[str, Any]:
    values = received.values
    resource = require_resource(values)
    check_urls(service.settings, values, "callback_url")
    async with service.uploads.connection() as conn, conn.transaction():
        job: dict[str, Any] = await call(
            conn,
            "receive_finish",
            job_id=upload.job_id,
            resource=resource,
            options=options.for_sql(values),
            received=upload.totals.records,
            bytes=upload.totals.bytes,
            digest=received.digest,
            idempotency_key=key,
            idempotency_scope=SCOPE if key else None,
        )
    return job


async def _fetch(service: Service, received: Received, key: str | None) -> dict[str, Any]:
    """The job whose file a worker will fetch."""
    values = received.values
    judge_source(service, values)
    async with service.pool.connection() as conn:
        job: dict[str, Any] = await call(
            conn,
            "fetch_create",
            resource=require_resource(values),
            source=dict(received.source),
            format=detect(values["format"]).format if values.get("format") else None,
            options=options.for_sql(values),
            file_name=values.get("file_name"),
            digest=received.digest,
            idempotency_key=key,
            idempotency_scope=SCOPE if key else None,
        )
    return job


async def _compare(request: AnyRequest, received: Received, first: dict[str, Any]) -> None:
    """Read the request to its end; refuse it when the first one with its key was another."""
    async with opened(request, received) as file:
        if file is not None:
            async for _ in file.body:
                pass
    compare(first, received.digest)
