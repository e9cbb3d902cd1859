"""How the routes that look at a header are described in the OpenAPI document."""

from ..models import Schema, listing, record, text
from .openapi import content, operation, parameter, refused

_HEADER: Schema = {"type": "array", "items": {"type": "string"}, "maxItems": 1600}
_MATCH: Schema = record(
    resource=text(),
    columns=listing(
        record(
            header=text(),
            field=text(nullable=True, description="what it means; null: nothing"),
            how=text(
                nullable=True,
                description="mapping, name, alias, spelling; ignored: a column that rejects have",
            ),
            nearest=text(nullable=True, description="a field whose name is like it"),
        )
    ),
    missing=listing(text(description="a required field that no name means")),
    twice=listing(text(description="a field that two names mean")),
)
_EXAMPLE: Schema = {
    "resource": "users",
    "columns": [
        {"header": "E-Mail", "field": "email", "how": "mapping", "nearest": None},
        {"header": "Nme", "field": None, "how": None, "nearest": "name"},
    ],
    "missing": ["name"],
    "twice": [],
}
_BAD = {
    "400": refused(
        400,
        "the body is something else, or a mapping leads to no field",
        "mapping sends 'E-Mail' to 'mail', which is no field of users. fields are id, email, name",
    )
}


def _body(example: Schema, **properties: Schema) -> Schema:
    schema = {
        "type": "object",
        "required": ["header"],
        "properties": {"header": _HEADER, **properties},
        "additionalProperties": False,
    }
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


MATCH = operation(
    "What an import would make of a header",
    "resources",
    content(_MATCH, _EXAMPLE),
    parameter("name", "the resource", where="path", example="users"),
    requestBody=_body(
        {"header": ["E-Mail", "Nme"], "mapping": {"E-Mail": "email"}},
        mapping={
            "type": ["object", "null"],
            "additionalProperties": {"type": ["string", "null"]},
            "description": "as the option of an import: name in the file to field, null to ignore",
        },
    ),
    refusals=(404, 413),
    responses=_BAD,
    description="For a form that shows the match before a large file is sent. Nothing is kept.",
)
GUESS = operation(
    "Which resource a header is meant for",
    "resources",
    content(listing(_MATCH), [_EXAMPLE]),
    requestBody=_body({"header": ["email", "name"]}),
    refusals=(413,),
    responses=_BAD,
    description="The match of every resource that the key may use, the likeliest first.",
)
