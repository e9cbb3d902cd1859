// The options of an import as a form.

import { check, field, h, select } from "./ui.js";

const ENCODINGS = ["utf-8", "windows-1252", "iso-8859-15", "windows-1250", "windows-1251",
  "utf-16-le", "utf-16-be", "shift_jis", "gb18030"];

/**
 * {node, values(), set(name, value), parsing}: values() has only what differs from the defaults;
 * `onparsing` is called when delimiter or encoding were chosen.
 */
export function optionsForm(onparsing) {
  const controls = {
    mode: select([["", "insert or update (upsert)"], ["insert", "insert only"], ["update", "update only"]]),
    match: h("input", { placeholder: "by its keys", spellcheck: "false" }),
    on_duplicate: select([["", "reject the later one"], ["first", "keep the first"], ["last", "keep the last"]]),
    unknown_fields: select([["", "refuse the file"], ["ignore", "ignore them"]]),
    delimiter: select([["", "as the header has it"], [",", "comma"], [";", "semicolon"], ["tab", "tab"], ["|", "pipe |"]],
      { onchange: onparsing }),
    encoding: h("input", { list: "encodings", placeholder: "utf-8", spellcheck: "false", onchange: onparsing }),
    sheet: h("input", { placeholder: "the first", spellcheck: "false" }),
    null: h("input", { placeholder: "an empty cell", spellcheck: "false" }),
    date_order: select([["", "year-month-day (ISO)"], ["dmy", "day.month.year"], ["mdy", "month/day/year"]]),
    decimal: select([["", "point (1.5)"], [",", "comma (1,5)"]]),
    identity: select([["", "generate"], ["keep", "keep those of the file"]]),
    max_errors: h("input", { inputmode: "numeric", placeholder: "100000" }),
    max_error_ratio: h("input", { inputmode: "decimal", placeholder: "1" }),
    priority: select([["", "normal"], ["interactive", "pass larger jobs"]]),
  };
  const boxes = {
    atomic: check("All or nothing", {}, "One rejected record leaves the table as it was"),
    trim: check("Trim spaces around cells"),
    results: check("Keep what became of each record"),
  };
  const part = (title, ...fields) => h("fieldset", { class: "stack" }, h("legend", {}, title),
    h("div", { class: "fields" }, fields));
  const node = h("details", { class: "card" }, h("summary", {}, "Options"),
    h("datalist", { id: "encodings" }, ENCODINGS.map(name => h("option", { value: name }))),
    h("div", { class: "stack" },
      part("Writing",
        field("Mode", controls.mode), field("Match rows by", controls.match, "keys in order: id,email"),
        field("Same record twice in the file", controls.on_duplicate),
        field("Names that are no field", controls.unknown_fields),
        field("Identity columns", controls.identity), field("Priority", controls.priority)),
      part("Reading",
        field("Delimiter", controls.delimiter), field("Encoding", controls.encoding), field("Sheet of a workbook", controls.sheet),
        field("Null is written as", controls.null), field("Dates", controls.date_order),
        field("Decimal sign", controls.decimal)),
      part("Errors",
        field("Keep at most so many rejects", controls.max_errors),
        field("Fail above this share of rejects", controls.max_error_ratio, "0 to 1")),
      h("div", { class: "row" }, Object.values(boxes))));
  return {
    node,
    values() {
      const given = Object.entries(controls).map(([name, control]) => [name, control.value])
        .concat(Object.entries(boxes).map(([name, box]) => [name, box.box.checked ? "true" : ""]));
      return Object.fromEntries(given.filter(([, value]) => value !== ""));
    },
    set(name, value) {
      controls[name].value = value;
    },
  };
}
