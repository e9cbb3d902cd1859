// One resource in plain words: fields, keys, rules, references, and how to use it from elsewhere.

import { badge, copy, h, problem, replace, table } from "../ui.js";
import { config, download, get, key, root, url } from "../api.js";
import { defaultWords, keyWords, needWords, typeWords } from "../words.js";

export async function page(main, { name, signal }) {
  const path = `resources/${encodeURIComponent(name)}`;
  const about = await get(path, { signal });
  const here = `resource=${encodeURIComponent(name)}`;
  const trouble = h("div", {});
  const save = (from, as) => async () => {
    replace(trouble);
    await download(from, as).catch(error => {
      if (error.name !== "AbortError") replace(trouble, problem(error));
    });
  };
  replace(main,
    h("header", {}, h("div", {}, h("h1", {}, name), h("code", { class: "muted" }, about.table)),
      h("div", { class: "row" },
        h("a", { class: "button primary", href: `#/import?${here}` }, "Import"),
        h("a", { class: "button", href: `#/exports?${here}` }, "Export"),
        h("a", { class: "button", href: `#/jobs?${here}` }, "Jobs"))),
    about.description && h("p", { class: "lead" }, about.description),
    h("section", { class: "stack" }, h("h2", {}, "Fields"), fields(about)),
    h("div", { class: "grid halves" }, matching(about), relations(about)),
    rules(about),
    h("section", { class: "card" }, h("h2", {}, "Files to begin with"),
      h("p", { class: "muted" }, "A header and one example to fill in; or the fields as a JSON Schema."),
      trouble,
      h("div", { class: "row" },
        ["csv", "xlsx", "ndjson", "json"].map(form => h("button",
          { onclick: save(`${path}/template?format=${form}`, `${name}-template.${form}`) }, `Template ${form}`)),
        h("button", { onclick: save(`${path}?format=schema`, `${name}.schema.json`) }, "JSON Schema"))),
    examples(about));
}

function fields(about) {
  const rulesOf = field => about.rules.filter(rule => rule.fields?.length === 1 && rule.fields[0] === field.name);
  const reference = field => about.references.find(one => one.fields.length === 1 && one.fields[0] === field.name);
  return table([
    { head: "Field", cell: field => [h("code", {}, h("b", {}, field.name)), field.aliases
      ? h("div", { class: "hint" }, `also ${field.aliases.join(", ")}`) : null] },
    { head: "What it is", cell: field => {
      const words = typeWords(field.type, field.values);
      return [words, words === field.type ? null : h("div", { class: "hint" }, h("code", {}, field.type))];
    } },
    { head: "Needed", cell: field => (field.required ? badge("required", "run") : needWords(field)) },
    { head: "If left out", narrow: false, cell: field => (field.required ? "an error"
      : field.default ? defaultWords(field.default) : field.nullable ? "empty" : "made by the database") },
    { head: "Rules", class: "wrap", cell: field => [
      field.description && h("div", {}, field.description),
      rulesOf(field).map(rule => h("div", {}, rule.message)),
      reference(field) && h("div", {}, "must be ", refer(reference(field)))] },
  ], about.fields, { caption: `Fields of ${about.name}` });
}

function refer(one) {
  const target = one.resource
    ? h("a", { href: `#/resources/${encodeURIComponent(one.resource)}` }, one.resource) : h("code", {}, one.table);
  return ["the ", h("code", {}, one.target_fields.join(", ")), " of a row in ", target];
}

function matching(about) {
  return h("section", { class: "card" }, h("h2", {}, "How a record finds its row"),
    about.keys.length
      ? [h("p", { class: "muted" }, "By the first of these that fits; a record that finds none is a new row. ",
        "Within one file each value may come once."),
      h("ol", {}, about.keys.map(one => h("li", {}, keyWords(one))))]
      : h("p", {}, "It has no unique key: every record is a new row."));
}

function relations(about) {
  const several = about.references.filter(one => one.fields.length > 1);
  const items = [
    about.parent && h("li", {}, "Its rows stand inside those of ",
      h("a", { href: `#/resources/${encodeURIComponent(about.parent)}` }, about.parent), "."),
    about.children.map(child => h("li", {}, "A JSON record may hold a list of ",
      h("a", { href: `#/resources/${encodeURIComponent(child)}` }, child),
      "; it replaces the list that is there.")),
    several.map(one => h("li", {}, h("code", {}, one.fields.join(", ")), " must be ", refer(one))),
    about.created_field && h("li", {}, h("code", {}, about.created_field), " is never changed by an import."),
    about.updated_field && h("li", {}, h("code", {}, about.updated_field),
      " becomes the time of the import where a row changes."),
    about.triggers.length ? h("li", {}, "Triggers of the table run too: ",
      h("code", {}, about.triggers.join(", "))) : null,
  ].flat().filter(Boolean);
  return h("section", { class: "card" }, h("h2", {}, "Around it"),
    items.length ? h("ul", {}, items) : h("p", { class: "muted" }, "It stands alone."));
}

function rules(about) {
  const several = about.rules.filter(rule => rule.fields?.length !== 1);
  if (!several.length) return null;
  return h("section", { class: "stack" }, h("h2", {}, "Rules over several fields"), table([
    { head: "Fields", cell: rule => h("code", {}, (rule.fields ?? ["the whole row"]).join(", ")) },
    { head: "Rule", class: "wrap", cell: rule => rule.message },
    { head: "Name", cell: rule => h("code", {}, rule.name) },
  ], several, { caption: "Rules over several fields" }));
}

function examples(about) {
  const given = key() ? ` \\\n    -H "X-API-Key: $KEY"` : "";
  const base = root("").replace(/\/$/, "");
  const quoted = `'${about.name.replaceAll("'", "''")}'`;
  return h("section", { class: "card" }, h("h2", {}, "From elsewhere"),
    example("Import with curl", `curl -F file=@${about.name}.csv -F resource=${about.name} ${base}/${config.api}/imports${given}`),
    example("Export with curl", `curl "${url("exports")}?resource=${about.name}&format=csv" -o ${about.name}.csv${given}`),
    example("Export with psql", `select sluice.export_sql(${quoted}) as q \\gset\n\\o ${about.name}.csv\n`
      + "copy (:q) to stdout with (format csv, header);\n\\o"),
    example("Describe with psql", `select jsonb_pretty(sluice.describe(${quoted}));`));
}

function example(title, text) {
  return h("div", { class: "stack" },
    h("div", { class: "bar-head" }, h("h3", {}, title),
      h("button", { class: "small", onclick: () => copy(text), "aria-label": `Copy: ${title}` }, "Copy")),
    h("pre", { tabindex: "0" }, text));
}
