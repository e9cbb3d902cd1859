// Mending in place: the rejected records in a grid, offending cells marked; only what was mended is sent.

import { announce, backTo, h, notice, number, plural, problem, replace, uid } from "./ui.js";
import { upload } from "./api.js";
import { forget, keep, restore } from "./drafts.js";
import { asFile, isEdited, readRejects } from "./rejects.js";

const MOST = 500;
const PAGE = 50;
// what a new import of some of the records must be told again
const KEPT = ["mode", "match", "on_duplicate", "unknown_fields", "mapping", "defaults", "identity",
  "results", "null", "delimiter", "trim", "date_order", "decimal", "atomic"];

/** A section with the grid; `onsent(job)` gets the new, linked import. */
export function mendGrid(job, onsent) {
  const place = h("section", { class: "stack" }, h("h2", { tabindex: "-1" }, "Mend rejects"),
    h("p", { class: "spin" }, "Loading the rejected records …"));
  readRejects(job, MOST).then(found => replace(place, ...grid(job, found, onsent)))
    .catch(error => replace(place, h("h2", {}, "Mend rejects"), problem(error)));
  return place;
}

function grid(job, found, onsent) {
  const { names, rows } = found;
  for (const row of rows) row.rawWas = row.raw ?? undefined;
  restore(job, rows);
  let page = 0, saving = null;
  const body = h("tbody");
  const state = h("span", { class: "muted" });
  const trouble = h("div");
  const pager = h("div", { class: "pager" });
  const try_ = h("button", { type: "button", onclick: () => send(true) }, "Check the mended (dry run)");
  const import_ = h("button", { type: "button", class: "primary", onclick: () => send(false) }, "Import the mended");
  const again = h("button", { type: "button", class: "plain", onclick: () => {
    for (const row of rows) {
      row.raw = row.rawWas ?? null;
      for (const cell of row.cells) cell.text = cell.was;
    }
    draw();
    count();
  } }, "Undo all");

  const count = () => {
    const edited = rows.filter(isEdited);
    replace(state, edited.length ? `${plural(edited.length, "record")} mended` : "Nothing is mended yet");
    try_.disabled = import_.disabled = again.disabled = !edited.length;
    clearTimeout(saving);
    saving = setTimeout(() => keep(job, edited), 200);
  };
  const draw = () => {
    replace(body, rows.slice(page * PAGE, (page + 1) * PAGE).map(row => line(row)));
    replace(pager, rows.length > PAGE && [
      h("button", { type: "button", disabled: page === 0, onclick: () => turn(-1) }, "Previous"),
      h("span", { class: "muted" }, `Records ${number(page * PAGE + 1)} to `
        + `${number(Math.min(rows.length, (page + 1) * PAGE))} of ${number(rows.length)}`),
      h("button", { type: "button", disabled: (page + 1) * PAGE >= rows.length, onclick: () => turn(1) }, "Next")]);
  };
  const turn = by => {
    page += by;
    draw();
    const region = body.closest(".scroll");
    region.scrollTop = 0;
    region.focus();
    region.scrollIntoView({ block: "nearest" });
  };

  const line = row => {
    const cells = row.raw === null
      ? row.cells.map((cell, at) => h("td", { dataset: { head: names[at] || "(no name)" } }, editor(row, cell, at)))
      : [h("td", { colspan: names.length }, raw(row))];
    return h("tr", {}, h("th", { scope: "row", class: "num" }, h("span", { class: "sr" }, "Row "), number(row.row)),
      cells, h("td", { class: "badly", dataset: row.rest.length ? { head: "Besides" } : null }, row.rest.map(one =>
        h("div", {}, one.field ? `${one.field}: ${one.message}` : one.message))));
  };

  const editor = (row, cell, at) => {
    // a line of input would swallow the ends of lines, and hides most of what is long
    const long = /[\r\n]/.test(cell.was) || cell.was?.length > 60;
    const input = h(long ? "textarea" : "input", { value: cell.text ?? "", spellcheck: "false", dir: "auto",
      rows: long ? 3 : null, "aria-label": `${names[at]}, row ${row.row}`, placeholder: cell.was === null ? "null" : null,
      "aria-invalid": cell.marks.length && cell.text === cell.was ? "true" : null,
      class: cell.text === cell.was ? null : "edited",
      oninput: () => {
        // an emptied cell is null, unless it was an empty text from the start
        cell.text = input.value === "" && cell.was !== "" ? null : lined(input.value, cell.was);
        const same = cell.text === cell.was;
        input.classList.toggle("edited", !same);
        if (cell.marks.length) input.setAttribute("aria-invalid", String(same));
        count();
      } });
    return described(input, cell.marks);
  };

  const raw = row => {
    const area = h("textarea", { value: row.raw, spellcheck: "false", rows: 2, class: "mono",
      "aria-label": `Record ${row.row} as it was sent`, "aria-invalid": "true",
      oninput: () => {
        row.raw = area.value;
        area.setAttribute("aria-invalid", String(row.raw === row.rawWas));
        count();
      } });
    return area;
  };

  async function send(dryRun) {
    const mended = rows.filter(isEdited);
    const file = asFile(job, names, mended);
    const form = new FormData();
    form.append("resource", job.resource);
    form.append("parent", job.job_id);
    for (const name of KEPT) {
      const value = job.options[name];
      if (value !== undefined && !(name === "delimiter" && job.format !== "csv")) {
        form.append(name, name === "match" && Array.isArray(value) ? value.join(",")
          : typeof value === "string" ? value : JSON.stringify(value));
      }
    }
    if (dryRun) form.append("dry_run", "true");
    form.append("file", new Blob([file.text]), file.name);
    try_.disabled = import_.disabled = true;
    try {
      const child = await upload("imports", form);
      announce(`${plural(mended.length, "record")} sent`);
      clearTimeout(saving);
      if (dryRun) keep(job, mended);
      else forget(job);
      onsent(child);
    } catch (error) {
      replace(trouble, problem(error));
      count();
      backTo(dryRun ? try_ : import_);
    }
  }

  draw();
  count();
  return [
    h("h2", { tabindex: "-1" }, "Mend rejects"),
    h("p", { class: "lead" }, "Edit what is marked, then send the mended records as a new import that is linked to this one. ",
      "Arrow keys up and down go from record to record."),
    job.dry_run && notice("warn", "This job was a dry run: nothing of its file was written. \"Import the mended\" writes ",
      "the records that are mended here, and no other of the file."),
    found.more && notice("", `These are the first ${number(rows.length)} of ${number(job.counts.rejected)} `
      + "rejects. Download the rejects to mend all of them elsewhere."),
    h("div", { class: "scroll cards", tabindex: "0", role: "region", "aria-label": "Rejected records" },
      h("table", { class: "mend", onkeydown: walk },
        h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "num" }, "Row"),
          names.map((name, at) => h("th", { scope: "col", style: { "min-width": `${widest(rows, at)}ch` } },
            name || "(no name)")),
          h("th", { scope: "col" }, "Besides"))), body)),
    pager, trouble, h("div", { class: "row" }, import_, try_, again, state),
  ];
}

function described(input, marks) {
  if (!marks.length) return input;
  const note = h("div", { class: "hint badly", id: uid("m") },
    marks.map(one => h("div", {}, /[.[]/.test(one.field) ? `${one.field}: ` : "", one.message)));
  input.setAttribute("aria-describedby", note.id);
  return [input, note];
}

/** How wide a column should be: that of its longest cell, within reason. */
function widest(rows, at) {
  const lengths = rows.slice(0, PAGE).map(row => row.cells[at]?.was?.length ?? 0);
  return Math.max(10, Math.min(34, Math.max(...lengths) + 4));
}

/** Browsers end the lines of a text in their own way: as the file did. */
const lined = (text, was) => (was?.includes("\r\n") ? text.replaceAll("\n", "\r\n") : text);

/** Up and down (and Enter) lead to the same column of the next record. */
function walk(event) {
  const by = { ArrowUp: -1, ArrowDown: 1, Enter: 1 }[event.key];
  const { localName, value, selectionStart, selectionEnd } = event.target;
  if (!by || (localName !== "input" && localName !== "textarea")) return;
  // within a text of several lines the keys stay in it, until its beginning or end
  if (localName === "textarea" && (event.key === "Enter" || selectionStart !== selectionEnd
    || selectionStart !== (by < 0 ? 0 : value.length))) return;
  event.preventDefault();
  const cell = event.target.closest("td");
  let row = cell.parentElement;
  do row = by > 0 ? row.nextElementSibling : row.previousElementSibling;
  while (row && row.cells.length !== cell.parentElement.cells.length);
  const next = row?.cells[cell.cellIndex].querySelector("input, textarea");
  next?.focus();
  if (next?.localName === "input") next.select();
}
