// A table on its way out: what of it, how it looks, at once or as a file that is made in the background.

import { announce, backTo, badge, bytes, check, field, h, jobBadge, number, plural, problem, redraw, replace, select,
  table, time } from "../ui.js";
import { download, events, get, key, post, request, withQuery } from "../api.js";
import { fields, filters, order } from "../export_form.js";
import { isRunning, jobLink, jobName, progress, repeat } from "../jobs.js";
import { EXPORTS } from "../words.js";

const ROWS = 20;

export async function page(main, { query, signal }) {
  const resources = await get("resources", { signal });
  if (!resources.length) {
    replace(main, h("h1", {}, "Export"), h("div", { class: "card empty" }, "There is no table to export."));
    return null;
  }
  const asked = query.get("resource");
  const resource = select(resources.map(one => one.name),
    { value: resources.some(one => one.name === asked) ? asked : resources[0].name });
  const place = h("div", { class: "page" });
  const made = h("div", { class: "page" });
  const trouble = h("div", {});
  const list = h("div", {});
  const draw = past(list, signal);
  const choose = () => form(place, resources.find(one => one.name === resource.value), made,
    () => loop.now(), signal);
  resource.addEventListener("change", choose);
  replace(main, h("h1", {}, "Export"),
    h("div", { class: "card" }, h("div", { class: "fields" }, field("Resource", resource)), place),
    made,
    h("section", { class: "stack" }, h("h2", {}, "Files made in the background"), trouble, list,
      h("div", {}, h("a", { href: "#/jobs?kind=export" }, "All exports"))));
  let any = await draw();
  const loop = repeat(async () => { any = await draw(); }, () => (any ? 1500 : 15000), trouble);
  choose();
  return loop.stop;
}

// --- what is asked for ----------------------------------------------------------------------

function form(place, about, made, changed, signal) {
  const preview = h("div", { class: "low" });
  let timer = null, asking = null;
  signal.addEventListener("abort", () => { clearTimeout(timer); asking?.abort(); });
  const later = () => { clearTimeout(timer); timer = setTimeout(show, 350); };
  const chosen = fields(about, later), kept = filters(about, later), sorted = order(about, later);
  const limit = h("input", { type: "number", min: 0, step: 1, inputmode: "numeric", oninput: later });
  const format = select(EXPORTS, { onchange: () => { fit(); later(); } });
  const children = about.children.map(name => check(name, { value: name, onchange: later }));
  const inCells = h("span", { class: "hint" }, "each list as JSON in a cell");
  const within = h("fieldset", { hidden: !children.length }, h("legend", {}, "With their lists of"),
    h("div", { class: "row" }, children, inCells));
  const delimiter = select([["", "comma"], [";", "semicolon"], ["\t", "tab"], ["|", "|"]]);
  const nulls = h("input", { autocomplete: "off", placeholder: "empty cell" });
  const header = check("With a header", { checked: true });
  const formulas = check("Make formulas harmless", {}, "for texts that a spreadsheet would run");
  const csv = h("details", {}, h("summary", {}, "Details of CSV"), h("div", { class: "fields" },
    field("Between cells", delimiter), field("No value is written as", nulls), header, formulas));
  const compression = select([["", "none"], "gzip", "zstd"]);
  const days = select([["", "as the service is set"], ["3600", "an hour"], ["86400", "a day"], ["604800", "a week"]]);
  const fit = () => {
    csv.hidden = format.value !== "csv";
    inCells.hidden = format.value !== "csv" && format.value !== "xlsx";
  };
  const read = () => ({
    resource: about.name, format: format.value, fields: chosen.read(), order: sorted.read(),
    limit: limit.value === "" ? null : Number(limit.value),
    include: marked(children),
    ...(format.value === "csv" ? { delimiter: delimiter.value || null, null: nulls.value || null,
      header: header.box.checked ? null : false, escape_formulas: formulas.box.checked || null } : {}),
  });
  const show = async () => {
    asking?.abort();
    asking = new AbortController();
    try {
      const what = { ...read(), format: "json", delimiter: null, null: null, header: null, escape_formulas: null };
      what.limit = Math.min(what.limit ?? ROWS, ROWS);
      const reply = await request(address({ ...what, ...kept.read() }), { signal: asking.signal });
      const rows = JSON.parse(await reply.text(), exactly);
      replace(preview, sample(about, what, rows));
      announce(`Preview: ${plural(rows.length, "row")}`);
    } catch (error) {
      if (error.name !== "AbortError") replace(preview, problem(error));
    }
  };
  const trouble = h("div", {});
  const doing = h("span", { class: "muted", role: "status" });
  const buttons = {
    now: h("button", { class: "primary", onclick: () => act(buttons.now, async () => {
      const asked = read();
      await download(address({ ...asked, ...kept.read(true) }), `${about.name}.${format.value}`, { signal,
        onprogress: count => replace(doing, `${bytes(count)} received`) });
      replace(doing);
    }) }, "Download now"),
    later: h("button", { onclick: () => act(buttons.later, async () => {
      const job = await post("exports", without({ ...read(), filters: kept.read(true),
        compression: compression.value || null, expires_in: days.value ? Number(days.value) : null }));
      follow(made, job, signal);
      changed();
    }) }, "Make a file"),
  };
  const act = async (button, work) => {
    replace(trouble);
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") replace(trouble, problem(error));
    }
    button.disabled = false;
    backTo(button);
  };
  fit();
  replace(place, chosen.node, kept.node,
    h("div", { class: "fields" }, sorted.node, field("At most so many rows", limit, "empty: all"),
      field("Format", format)),
    within, csv,
    h("section", { class: "stack" }, h("h2", {}, "Preview"), preview),
    trouble,
    h("div", { class: "row" }, buttons.now, doing),
    key() && !window.showSaveFilePicker ? h("p", { class: "hint" }, "With an API key this browser keeps ",
      "the file in memory until it is complete: for gigabytes take curl, as the page of the resource shows.")
      : null,
    h("fieldset", {}, h("legend", {}, "Or as a file that is made in the background, for what is large"),
      h("div", { class: "fields" }, field("Compression", compression), field("Kept for", days),
        h("div", { class: "field bottom" }, buttons.later))));
  show();
}

/** Numbers as they were sent: those that a browser would round stay texts. */
const exactly = (name, value, more) => (typeof value === "number" && more?.source
  && String(value) !== more.source ? more.source : value);

const marked = boxes => {
  const names = boxes.filter(one => one.box.checked).map(one => one.box.value);
  return names.length ? names : null;
};

/** What was asked for, as the address of a streamed export. */
function address(asked) {
  return withQuery("exports", Object.fromEntries(Object.entries(without(asked))
    .map(([name, value]) => [name, Array.isArray(value) ? value.join(",") : value])));
}

const without = values => Object.fromEntries(Object.entries(values)
  .filter(([, value]) => value !== null && value !== undefined));

function sample(about, what, rows) {
  const names = [...(what.fields ?? about.fields.map(one => one.name)), ...(what.include ?? [])];
  return h("div", { class: "stack" },
    table(names.map(name => ({ head: name, class: "cut", cell: row => shown(row[name]) })), rows,
      { caption: "Preview of the first rows", flat: true, empty: "No row is like that." }),
    rows.length ? h("p", { class: "hint" }, rows.length < ROWS ? `${plural(rows.length, "row")} in all.`
      : `The first ${ROWS} rows.`) : null);
}

function shown(value) {
  if (value === null || value === undefined) return h("span", { class: "muted" }, "–");
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return h("span", { title: text.length > 60 ? text.slice(0, 2000) : null },
    text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

// --- what is made ---------------------------------------------------------------------------

/** An export that has just been asked for, to its end. */
async function follow(made, job, signal) {
  const inside = h("section", { class: "card" });
  replace(made, inside);
  let now = job;
  const draw = () => redraw(inside, h("div", { class: "bar-head" },
    h("h2", {}, h("a", { href: jobLink(job) }, jobName(job))), jobBadge(now)),
  isRunning(now) ? [progress(now), h("p", { class: "muted" }, `${number(now.progress.rows)} rows`),
    h("div", {}, h("button", { onclick: () => post(`exports/${job.job_id}/cancel`).catch(error =>
      inside.append(problem(error))) }, "Cancel"))] : null,
  now.error ? problem(now.error) : null,
  now.status === "completed" ? now.files.map(file) : null);
  draw();
  try {
    await events(`exports/${job.job_id}/events`, (name, seen) => {
      now = { ...now, ...seen };
      draw();
      if (name === "end") announce(`${jobName(job)}: ${now.status}`);
    }, signal);
  } catch (error) {
    if (error.name !== "AbortError") inside.append(problem(error));
  }
}

/** A finished file: how large, until when, and its checksum. */
function file(one) {
  return h("div", { class: "stack" },
    h("div", { class: "row" }, save(one), h("span", {}, `${bytes(one.bytes)}, ${plural(one.exported, "row")}`),
      h("span", { class: "muted" }, "until ", time(one.expires_at, { relative: false }))),
    h("div", { class: "hint wrap" }, "SHA-256 ", h("code", {}, one.sha256)));
}

function save(one, kind = "primary") {
  const trouble = h("div", {});
  const button = h("button", { class: kind, onclick: async () => {
    button.disabled = true;
    replace(trouble);
    await download(one.download_url, one.name).catch(error => {
      if (error.name !== "AbortError") replace(trouble, problem(error));
    });
    button.disabled = false;
  } }, `Download ${one.name}`);
  return h("span", {}, button, trouble);
}

/** Draws the latest exports into a place; the promise says whether one of them still runs. */
function past(place, signal) {
  let known = "";
  return async () => {
    const { jobs } = await get("jobs?kind=export&limit=10", { signal });
    const text = JSON.stringify(jobs);
    if (text !== known) {
      known = text;
      redraw(place, table([
        { head: "State", cell: jobBadge },
        { head: "Export", class: "wrap", cell: job => [h("a", { href: jobLink(job) }, jobName(job)),
          isRunning(job) ? progress(job) : null,
          job.error ? h("div", { class: "hint badly" }, job.error.detail) : null] },
        { head: "Rows", num: true, cell: job => number(job.exported) },
        { head: "Size", num: true, cell: job => (job.status === "completed" ? bytes(job.bytes) : "–") },
        { head: "Created", class: "nowrap", cell: job => time(job.created_at) },
        { head: "Kept until", class: "nowrap", cell: job => (job.status === "completed" ? time(job.expires_at) : "–") },
        { head: "File", cell: job => (job.files ?? []).map(one => (one.download_url ? save(one, "small")
          : badge("expired", "plain"))) },
      ], jobs, { caption: "Files made in the background", empty: "No export has been made in the background yet." }));
    }
    return jobs.some(isRunning);
  };
}
