// What became of an import: counts, differences of a dry run, errors by kind and one by one.

import { bar, h, number, notice, plural, problem, replace, select, table } from "./ui.js";
import { get, withQuery } from "./api.js";

const COLORS = {
  inserted: "c2", updated: "c1", unchanged: "c6", rejected: "c5", dropped: "c3", unprocessed: "c4",
};
const MEANING = {
  dropped: "dropped (duplicates in the file)", unprocessed: "not processed",
};

/** The counts of a job as a bar with its legend. */
export function counts(job) {
  const parts = Object.entries(COLORS).map(([name, color]) => ({
    name: MEANING[name] ?? name, value: job.counts[name] ?? 0, color,
  }));
  const would = job.dry_run ? "Would be written" : "Counts";
  return bar(parts.filter((part, at) => part.value || at < 4), would);
}

/** One sentence about the end of a job. */
export function verdict(job) {
  const { rejected, received, inserted, updated, unchanged } = job.counts;
  if (job.status === "failed") {
    return notice("bad", h("b", {}, "The job failed. "), job.error?.detail ?? job.error?.title);
  }
  if (job.status === "cancelled") return notice("warn", "The job was cancelled. ",
    inserted || updated ? "Rows that were written by then stay." : "Nothing was written.");
  const good = `${plural(inserted, "new row")}, ${number(updated)} changed, ${number(unchanged)} as they were`;
  const bad = rejected ? `Rejected: ${number(rejected)} of ${plural(received, "record")}.` : "No record is rejected.";
  const kind = rejected ? "warn" : "good";
  return job.dry_run
    ? notice(kind, h("b", {}, "Dry run: nothing was written. "), `It would be ${good}. ${bad}`)
    : notice(kind, `${good}. ${bad}`);
}

/** Before and after of the rows that a dry run would change. */
export function differences(sample) {
  if (!sample?.length) return null;
  const rows = sample.flatMap(one => Object.keys({ ...one.before, ...one.after })
    .filter(name => JSON.stringify(one.before?.[name]) !== JSON.stringify(one.after?.[name]))
    .map(name => ({ row: one.row, name, before: one.before?.[name], after: one.after?.[name] })));
  return h("section", { class: "stack" }, h("h2", {}, "What would change"),
    table([
      { head: "Row", num: true, cell: row => number(row.row) },
      { head: "Field", cell: row => row.name },
      { head: "Now", class: "wrap", cell: row => h("del", {}, shown(row.before)) },
      { head: "Then", class: "wrap", cell: row => h("ins", {}, shown(row.after)) },
    ], rows, { caption: "Differences" }),
    sample.length >= 20 ? h("p", { class: "hint" }, "The first 20 rows that would change.") : null);
}

const shown = value => (value === null || value === undefined ? "null"
  : typeof value === "string" ? value : JSON.stringify(value));

/** Errors by field and code, and the errors themselves in pages; a choice in the first filters them. */
export function errors(job) {
  const place = h("div", { class: "stack", "aria-busy": "true" }, h("p", { class: "spin" }, "Loading the errors …"));
  fillErrors(place, job).catch(error => replace(place, problem(error)))
    .finally(() => place.removeAttribute("aria-busy"));
  return place;
}

async function fillErrors(place, job) {
  const summary = await get(`${job.links.errors}/summary`);
  if (!summary.errors) {
    replace(place, job.counts.rejected
      ? notice("", "The rejects of this job are no longer kept.") : null);
    return;
  }
  const list = errorList(job, summary);
  const groups = summary.groups.flatMap(group => group.constraints.map(one => ({ ...group, ...one })));
  replace(place,
    h("h2", {}, "Errors by kind"),
    h("p", { class: "lead" }, `${plural(summary.errors, "error")} in ${plural(summary.records, "record")}.`),
    table([
      { head: "Field", cell: group => group.field ?? h("span", { class: "muted" }, "whole record") },
      { head: "Code", narrow: false, cell: group => h("code", {}, group.code) },
      { head: "Records", num: true, cell: group => number(group.records) },
      { head: "What is wrong", class: "wrap", cell: group => group.message },
      { head: "Such as", class: "wrap", narrow: false, cell: group => h("span", {},
        h("span", { class: "mono" }, cut(group.example.value)), h("span", { class: "muted" },
          ` row ${number(group.example.row)}`)) },
      { head: h("span", { class: "sr" }, "Filter"), cell: group => h("button", {
        type: "button", class: "small",
        "aria-label": `Show the errors ${group.code} of ${group.field ?? "whole records"}`,
        onclick: () => list.filter(group.field, group.code),
      }, "Show") },
    ], groups, { caption: "Errors by field and code" }),
    list.node);
}

function errorList(job, summary) {
  const fields = [...new Set(summary.groups.map(group => group.field).filter(Boolean))];
  const codes = [...new Set(summary.groups.map(group => group.code))];
  const field = select([["", "all fields"], ...fields], { "aria-label": "Field", onchange: () => go([]) });
  const code = select([["", "all codes"], ...codes], { "aria-label": "Code", onchange: () => go([]) });
  const place = h("div", { class: "stack" });
  const node = h("section", { class: "stack" },
    h("div", { class: "bar-head" }, h("h2", {}, "Errors"), h("div", { class: "row" }, field, code)), place);
  /** Show the page after the last of `cursors`: those that lead to it, from the first page on. */
  async function go(cursors) {
    try {
      const page = await get(withQuery(job.links.errors, {
        field: field.value, code: code.value, limit: 50, cursor: cursors.at(-1),
      }));
      replace(place, errorTable(page.errors), (cursors.length || page.next) && h("div", { class: "pager" },
        h("button", { type: "button", disabled: !cursors.length, onclick: () => go(cursors.slice(0, -1)) },
          "Previous"),
        h("span", { class: "muted" }, `Page ${number(cursors.length + 1)}`),
        h("button", { type: "button", disabled: !page.next, onclick: () => go([...cursors, page.next]) },
          "Next")));
    } catch (error) {
      replace(place, problem(error));
    }
  }
  go([]);
  return {
    node,
    filter(ofField, ofCode) {
      field.value = ofField ?? "";
      code.value = ofCode;
      go([]);
      node.scrollIntoView({ block: "start" });
    },
  };
}

function errorTable(found) {
  return table([
    { head: "Row", num: true, cell: one => number(one.row) },
    { head: "Line", num: true, narrow: false, cell: one => number(one.line) },
    { head: "Field", cell: one => one.field ?? h("span", { class: "muted" }, "whole record") },
    { head: "Value", class: "wrap cell-bad mono", cell: one => cut(one.value) },
    { head: "What is wrong", class: "wrap", cell: one => one.message },
    { head: "Code", narrow: false, cell: one => h("code", {}, one.code) },
  ], found, { caption: "Errors", empty: "No errors of this kind." });
}

function cut(value) {
  if (value === null || value === undefined) return h("span", { class: "muted" }, "nothing");
  if (value === "") return h("span", { class: "muted" }, "an empty text");
  return value.length > 200 ? `${value.slice(0, 200)} …` : value;
}
