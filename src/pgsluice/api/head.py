"""What the head of an import request says, judged before its body is read."""

from ..errors import ProblemError
from ..ingest.compression import content_codings
from ..ingest.errors import BadOption
from ..ingest.fetch_errors import Unfetchable
from ..ingest.folder import check_path
from ..ingest.format import Format, detect
from ..outbound import Refused, check_url
from . import options
from .body import declared_length
from .incoming import MULTIPART, URLENCODED, media_type_of
from .query import Fields
from .service import AnyRequest, Service
from .urls import check_urls

# What multipart puts around the file; the file itself is counted exactly while it streams.
_FRAME_BYTES = 1024 * 1024
_CODINGS = {"Accept-Encoding": "gzip, zstd"}


async def judge_head(request: AnyRequest, service: Service, query: Fields) -> None:
    """Refuse what can be refused without the body: size, coding, format, resource, options."""
    media_type = media_type_of(request)
    is_form = media_type == MULTIPART
    _judge_coding(request, is_form=is_form)
    _judge_length(request, service.settings.max_upload_bytes, is_form=is_form)
    if any(name in query.values for name in options.SOURCES):
        judge_source(service, query.values)
    elif not is_form and media_type != URLENCODED:
        format_of(query.values, None, request.headers.get("content-type"))
        if not _may_be_url_request(request):
            require_resource(query.values)
    await judge_options(service, query.values)


def least_size(request: AnyRequest) -> int:
    """How many bytes the file has at least, as far as the head tells."""
    is_form = media_type_of(request) == MULTIPART
    return 1 if is_form else declared_length(request) or 1


def judge_source(service: Service, values: dict[str, str]) -> None:
    """Refuse a URL or path that is against the rules, whatever stands there."""
    try:
        if (url := values.get("url")) is not None:
            check_url(service.settings, url)
        if (path := values.get("source_path")) is not None:
            check_path(service.settings.import_dir, path)
        if given := values.get("format"):
            detect(given)
    except (Refused, Unfetchable) as exc:
        raise ProblemError(400, str(exc)) from None


async def judge_options(service: Service, values: dict[str, str]) -> None:
    """Have the resource judged, if it is known by now, and the options."""
    check_urls(service.settings, values, "callback_url")
    await service.ask(
        "check_import_options", resource=values.get("resource"), options=options.for_sql(values)
    )


def _may_be_url_request(request: AnyRequest) -> bool:
    """True for a body so small that it may be an object, which then carries the resource."""
    length = declared_length(request)
    return media_type_of(request) == "application/json" and length is not None and length < 65536


def require_resource(values: dict[str, str]) -> str:
    """The resource; refuses a request that names none."""
    if resource := values.get("resource"):
        return resource
    raise ProblemError(
        400,
        "which resource? add resource=NAME to the query or the form; GET the list of resources "
        "to see the names",
    )


def format_of(values: dict[str, str], file_name: str | None, media_type: str | None) -> Format:
    """The format by option, file name or content type; refuses what none of them tells."""
    return detect(values.get("format"), values.get("file_name") or file_name, media_type)


def _judge_coding(request: AnyRequest, *, is_form: bool) -> None:
    try:
        codings = content_codings(request.headers.get("content-encoding"))
    except BadOption as exc:
        raise ProblemError(415, exc.detail, _CODINGS) from None
    if len(codings) > 1 or (codings and is_form):
        raise ProblemError(
            415,
            "compress the file once; in a form send it as NAME.gz, without Content-Encoding",
            _CODINGS,
        )


def _judge_length(request: AnyRequest, cap: int, *, is_form: bool) -> None:
    length = declared_length(request)
    if cap and length is not None and length > cap + (_FRAME_BYTES if is_form else 0):
        raise ProblemError(
            413,
            f"the upload has {length} bytes, more than the {cap} allowed: split it, or raise "
            "SLUICE_MAX_UPLOAD_BYTES",
        )
