// All jobs, newest first: searched, filtered, paged; those that run are kept up to date.

import { announce, duration, field, h, jobBadge, number, plural, redraw, select, table, time }
  from "../ui.js";
import { get, withQuery } from "../api.js";
import { isRunning, jobLink, jobName, progress, repeat } from "../jobs.js";

const KINDS = [["", "all"], ["import", "imports"], ["export", "exports"]];
const STATES = [["", "all"], "pending", "processing", "completed", "failed", "cancelled"];
const COLUMNS = [
  { head: "State", cell: job => [jobBadge(job), job.dry_run ? h("div", { class: "hint" }, "dry run") : null] },
  { head: "Job", class: "wrap", cell: job => [
    h("a", { href: jobLink(job), dataset: { focus: job.job_id } }, jobName(job)),
    job.schedule ? h("div", { class: "hint" }, `by schedule ${job.schedule}`) : null,
    isRunning(job) ? progress(job) : null,
    job.error ? h("div", { class: "hint badly" }, job.error.detail) : null] },
  { head: "Records", num: true,
    cell: job => number(job.kind === "export" ? job.exported : job.counts.received) },
  { head: "Rejected", num: true, of: job => (job.counts.rejected ? "badly" : null),
    cell: job => (job.kind === "export" ? "–" : number(job.counts.rejected)) },
  { head: "Created", class: "nowrap", cell: job => time(job.created_at) },
  { head: "Id", narrow: false, class: "nowrap", cell: job => h("code", { title: job.job_id }, `…${job.job_id.slice(-8)}`) },
  { head: "Took", num: true, cell: job => duration(job.metrics.duration_ms) },
];

export async function page(main, { query, signal }) {
  const resources = await get("resources", { signal });
  const search = h("input", { type: "search", value: query.get("search") ?? "", autocomplete: "off",
    spellcheck: "false", maxlength: 200 });
  const kind = select(KINDS, { value: query.get("kind") ?? "" });
  const status = select(STATES, { value: query.get("status") ?? "" });
  const resource = select([["", "all"], ...names(resources, query.get("resource"))],
    { value: query.get("resource") ?? "" });
  const list = h("div", { class: "stack tall" });
  const pager = h("div", { class: "pager", role: "navigation", "aria-label": "Pages of the list" });
  const trouble = h("div", {});
  // the cursors of this page and of those before it; the first page has none
  let pages = [null];
  let shown = { jobs: [], next: null }, known = "", took = 0;
  const asked = () => ({ search: search.value.trim(), kind: kind.value, status: status.value,
    resource: resource.value });

  const draw = async () => {
    const what = JSON.stringify([asked(), pages]);
    const began = performance.now();
    const seen = await get(withQuery("jobs", { ...asked(), limit: 25, cursor: pages.at(-1) }), { signal });
    took = performance.now() - began;
    // an answer to what is no longer asked
    if (what !== JSON.stringify([asked(), pages])) return;
    const text = JSON.stringify([what, seen]);
    if (text === known) return;
    known = text;
    shown = seen;
    redraw(list, table(COLUMNS, seen.jobs, { caption: "Jobs, the newest first",
      empty: Object.values(asked()).some(Boolean) ? "No job is like that." : "No job yet." }));
    redraw(pager, h("span", { class: "muted" }, `${plural(seen.jobs.length, "job")} on page ${pages.length}`),
      h("div", { class: "row" },
        h("button", { disabled: pages.length === 1, onclick: () => turn(pages.slice(0, -1)) }, "Newer"),
        h("button", { disabled: !seen.next, onclick: () => turn([...pages, shown.next]) }, "Older")));
  };
  const turn = async to => {
    pages = to;
    await loop.now();
    announce(`Page ${pages.length}, ${plural(shown.jobs.length, "job")}`);
  };
  const ask = () => {
    // the address names what is shown, so that it can be kept and sent
    history.replaceState(null, "", `#${withQuery("/jobs", asked())}`);
    turn([null]);
  };
  let typing = null;
  search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(ask, 250); });
  for (const one of [kind, status, resource]) one.addEventListener("change", ask);
  list.addEventListener("keydown", walk);

  main.append(
    h("header", {}, h("h1", {}, "Jobs"), h("div", { class: "row" },
      h("a", { class: "button primary", href: "#/import" }, "Import"),
      h("a", { class: "button", href: "#/exports" }, "Export"))),
    h("search", { class: "fields close" },
      field("Search", search, "part of an id, file, resource or schedule"),
      field("Kind", kind), field("State", status), field("Resource", resource)),
    trouble, list, pager,
    h("p", { class: "hint extra" }, "In the list, the arrow keys go from job to job, Enter opens one."));
  await draw();
  const loop = repeat(draw,
    // what takes long is not asked for all the time
    () => Math.max(shown.jobs.some(isRunning) ? 1500 : 5000, 10 * took), trouble);
  return () => {
    clearTimeout(typing);
    loop.stop();
  };
}

/** The names of all resources, and one that an address has named. */
function names(resources, named) {
  const known = resources.map(one => one.name);
  return named && !known.includes(named) ? [named, ...known] : known;
}

/** Arrow keys, Home and End go from link to link. */
function walk(event) {
  const links = [...event.currentTarget.querySelectorAll("a[data-focus]")];
  const at = links.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (to === undefined || !links[to]) return;
  event.preventDefault();
  links[to].focus();
}
