// The options of an import as a form.

import { defaultsForm } from "./defaults.js";
import { check, field, h, replace, select, uid } from "./ui.js";

const ENCODINGS = ["utf-8", "windows-1252", "iso-8859-15", "windows-1250", "windows-1251",
  "utf-16-le", "utf-16-be", "shift_jis", "gb18030"];

/** What the options are called, here and where a job tells its own. */
export const LABELS = {
  mode: "Mode", match: "Match rows by", on_duplicate: "Same record twice in the file",
  unknown_fields: "Names that are no field", identity: "Numbers made by the database", priority: "Priority",
  delimiter: "Delimiter", encoding: "Encoding", sheet: "Sheet of a workbook", null: "Null is written as",
  date_order: "Dates", decimal: "Decimal sign", max_errors: "Keep at most so many rejects",
  max_error_ratio: "Fail above this share of rejects", atomic: "All or nothing",
  trim: "Trim spaces around cells", results: "Keep what became of each record",
  dry_run: "Dry run", defaults: "Where the file has no value", mapping: "Names matched by hand",
};

/**
 * {node, values(), dryRun(), set(name, value), fit(fields), sheets(names)}: values() has only what
 * differs from what is usual, dryRun() the kind of a dry run; `onparsing` is called when delimiter,
 * encoding or sheet were chosen.
 */
export function optionsForm(onparsing) {
  const sheets = h("datalist", { id: uid("sheets") });
  const controls = {
    mode: select([["", "insert or update (upsert)"], ["insert", "insert only"], ["update", "update only"]]),
    match: h("input", { placeholder: "by its keys", spellcheck: "false" }),
    on_duplicate: select([["", "reject the later one"], ["first", "keep the first"], ["last", "keep the last"]]),
    unknown_fields: select([["", "refuse the file"], ["ignore", "ignore them"]]),
    delimiter: select([["", "as the header has it"], [",", "comma"], [";", "semicolon"], ["tab", "tab"], ["|", "pipe |"]],
      { onchange: onparsing }),
    encoding: h("input", { list: "encodings", placeholder: "utf-8", spellcheck: "false", onchange: onparsing }),
    sheet: h("input", { placeholder: "the first", spellcheck: "false", list: sheets.id, onchange: onparsing }),
    null: h("input", { placeholder: "an empty cell", spellcheck: "false" }),
    date_order: select([["", "year-month-day (ISO)"], ["dmy", "day.month.year"], ["mdy", "month/day/year"]]),
    decimal: select([["", "point (1.5)"], [",", "comma (1,5)"]]),
    identity: select([["", "make new ones"], ["keep", "keep those of the file"]]),
    max_errors: h("input", { inputmode: "numeric", placeholder: "100000" }),
    max_error_ratio: h("input", { inputmode: "decimal", placeholder: "1" }),
    priority: select([["", "normal"], ["interactive", "pass larger jobs"]]),
  };
  const boxes = {
    atomic: check(`${LABELS.atomic}: one reject, and nothing is written`),
    trim: check(LABELS.trim),
    results: check(LABELS.results),
  };
  const dryRun = select([["true", "judges, writes nothing"], ["write", "writes, takes it back"]]);
  const defaults = defaultsForm();
  const part = (title, ...fields) => h("fieldset", { class: "stack" }, h("legend", {}, title),
    h("div", { class: "fields" }, fields));
  const one = (name, hint) => field(LABELS[name], controls[name], hint);
  const node = h("details", { class: "card" }, h("summary", {}, "Options"),
    h("datalist", { id: "encodings" }, ENCODINGS.map(name => h("option", { value: name }))), sheets,
    h("div", { class: "page" },
      part("Writing", one("mode"), one("match", "keys in order: id,email"), one("on_duplicate"), one("unknown_fields"),
        one("identity"), one("priority")),
      defaults.node,
      part("Reading", one("delimiter"), one("encoding"), one("sheet"), one("null"), one("date_order"), one("decimal")),
      part("Errors", one("max_errors"), one("max_error_ratio", "0 to 1"), field("A dry run", dryRun,
        "Writing shows what only the database itself finds, such as what triggers refuse; at most 100,000 records.")),
      h("div", { class: "row" }, Object.values(boxes))));
  return {
    node,
    values() {
      const given = Object.entries(controls).map(([name, control]) => [name, control.value])
        .concat(Object.entries(boxes).map(([name, box]) => [name, box.box.checked ? "true" : ""]));
      const values = Object.fromEntries(given.filter(([, value]) => value !== ""));
      return defaults.value() ? { ...values, defaults: JSON.stringify(defaults.value()) } : values;
    },
    dryRun: () => dryRun.value,
    set(name, value) {
      controls[name].value = value;
    },
    fit: fields => defaults.fit(fields.filter(one => !one.read_only)),
    sheets: names => replace(sheets, names.map(value => h("option", { value }))),
  };
}
