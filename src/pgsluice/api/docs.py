"""The API's own pages: the OpenAPI document and a page that shows it, offline."""

from litestar import Response, get
from litestar.response import Redirect

from . import read_doc as doc
from .reply import json_reply
from .service import AnyRequest

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>pgsluice API</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #1c2733; background: #fff }
details { border: 1px solid #cfd8e0; border-radius: 6px; margin: .5rem 0; padding: .5rem .8rem }
summary { cursor: pointer } summary code { font-weight: 600 } h2 { text-transform: capitalize }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .2rem .6rem }
td, th { border-top: 1px solid #e3e9ee; vertical-align: top }
pre { background: #f3f6f8; padding: .8rem; overflow: auto; font-size: 13px }
@media (prefers-color-scheme: dark) { body { color: #dde5ec; background: #14191e }
  pre { background: #1d242b } details, td, th { border-color: #37424c } }
</style></head><body>
<h1>pgsluice API</h1>
<p>The machine-readable form of this page is <a href="openapi.json">openapi.json</a>.</p>
<main>Loading …</main>
<script>
const make = (tag, ...inside) => {
  const node = document.createElement(tag); node.append(...inside); return node };
const row = (tag, cells) => make("tr", ...cells.map(cell => make(tag, cell)));
const table = (head, rows) => rows.length
  ? make("table", row("th", head), ...rows.map(cells => row("td", cells))) : "";
const kind = schema => schema.enum ? schema.enum.join(" | ")
  : schema.format || [schema.type].flat().join(" | ");
function bodies(content) {
  return Object.entries(content || {}).flatMap(([type, media]) => media.example
    ? [make("p", make("code", type)), make("pre", JSON.stringify(media.example, null, 2))]
    : [make("p", make("code", type))]);
}
function show(path, method, operation) {
  const place = make("code", `${method.toUpperCase()} ${path}`);
  const shown = make("details", make("summary", place, " ", operation.summary));
  if (operation.description) shown.append(make("p", operation.description));
  shown.append(table(["parameter", "in", "type", "meaning"], operation.parameters.map(p =>
    [make("code", p.name), p.in, kind(p.schema), p.description || ""])));
  if (operation.requestBody)
    shown.append(make("h4", "Body"), ...bodies(operation.requestBody.content));
  shown.append(make("h4", "Replies"));
  for (const [status, reply] of Object.entries(operation.responses))
    shown.append(make("p", make("b", status), " ", reply.description), ...bodies(reply.content));
  return shown;
}
fetch("openapi.json").then(reply => reply.json()).then(document_ => {
  const groups = new Map();
  for (const [path, item] of Object.entries(document_.paths))
    for (const [method, operation] of Object.entries(item)) {
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, make("section", make("h2", tag)));
      groups.get(tag).append(show(path, method, operation));
    }
  document.querySelector("main").replaceChildren(...groups.values());
}).catch(() => { document.querySelector("main").textContent = "openapi.json cannot be read." });
</script></body></html>
"""


@get("/openapi.json", opt=doc.OPENAPI)
async def openapi_json(request: AnyRequest) -> Response[bytes]:
    """The OpenAPI 3.1 document of this very service."""
    return json_reply(request.app.state["openapi"])


@get("/docs", opt=doc.DOCS)
async def docs() -> Response[str]:
    """A page that shows the document, without anything from elsewhere."""
    policy = "default-src 'none'; connect-src 'self'; img-src data:; "
    policy += "style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    policy += "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": policy})


@get("/", opt=doc.MOVED, status_code=302)
async def root() -> Redirect:
    """The page that a browser should see first."""
    return Redirect("/docs")
