"""How the console is described in the OpenAPI document."""

from .openapi import IF_NONE_MATCH, TEXT, operation, parameter, refused
from .read_doc import HTML

PAGE = operation(
    "The console, for people with a browser",
    "service",
    HTML,
    IF_NONE_MATCH,
    refusals=(304,),
    headers=("ETag", "Cache-Control"),
)
FILE = operation(
    "A script, a style or a picture of the console",
    "service",
    {kind: {"schema": TEXT} for kind in ("text/javascript", "text/css", "image/svg+xml")},
    parameter("file", "its path", where="path", example="app.js"),
    IF_NONE_MATCH,
    refusals=(304,),
    headers=("ETag", "Cache-Control"),
    responses={"404": refused(404, "there is no such file", "the console has no file 'a.js'")},
)
MOVED = operation(
    "Leads to the page that is meant",
    "service",
    {},
    refusals=(),
    status=302,
    why="there",
    headers=("Location",),
)
