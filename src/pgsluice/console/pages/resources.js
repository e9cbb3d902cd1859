// What can be imported and exported.

import { h, plural, replace } from "../ui.js";
import { get } from "../api.js";

export async function page(main, { signal }) {
  const resources = await get("resources", { signal });
  replace(main,
    h("header", {}, h("h1", {}, "Resources")),
    h("p", { class: "lead" }, "Tables that can be imported and exported. Fields and rules are read from ",
      "the database itself; a table of your own joins them by one call: ",
      h("code", {}, "select sluice.register('products', 'shop.products')"), "."),
    resources.length ? h("div", { class: "grid" }, resources.map(card))
      : h("div", { class: "card empty" }, "No table is registered, or none that this key may touch."));
}

function card(one) {
  const here = `resource=${encodeURIComponent(one.name)}`;
  const required = one.fields.filter(field => field.required).map(field => field.name);
  return h("section", { class: "card" },
    h("div", { class: "bar-head" },
      h("h2", {}, h("a", { href: `#/resources/${encodeURIComponent(one.name)}` }, one.name)),
      h("code", { class: "muted" }, one.table)),
    one.description && h("p", {}, one.description),
    h("p", { class: "muted" }, `${plural(one.fields.length, "field")}, ${plural(one.rules.length, "rule")}`,
      one.children.length ? `; each may hold a list of ${one.children.join(", ")}` : "",
      ". ", required.length ? `Needs ${required.join(", ")}.` : "No field is required."),
    h("div", { class: "row" },
      h("a", { class: "button small", href: `#/import?${here}`, "aria-label": `Import ${one.name}` }, "Import"),
      h("a", { class: "button small", href: `#/exports?${here}`, "aria-label": `Export ${one.name}` }, "Export"),
      h("a", { class: "button small", href: `#/jobs?${here}`, "aria-label": `Jobs of ${one.name}` }, "Jobs")));
}
