// What runs now, what has ended in the last hours, and whether database and workers are well.

import { badge, bar, duration, h, notice, number, percent, plural, redraw, select, table, uid }
  from "../ui.js";
import { get, withQuery } from "../api.js";
import { columns, line } from "../charts.js";
import { jobLink, jobName, progress, repeat } from "../jobs.js";

const REACH = [["1", "last hour"], ["6", "last 6 hours"], ["24", "last 24 hours"], ["168", "last 7 days"]];
const PARTS = [
  { name: "imported", key: "imported", color: "c2" },
  { name: "exported", key: "exported", color: "c1" },
  { name: "rejected", key: "rejected", color: "c5" },
];
const RESULTS = [["clean", "c2"], ["partial", "c3"], ["failed", "c5"], ["cancelled", "c6"]];

export async function page(main, params) {
  const reach = select(REACH, { id: uid("reach"), value: params.query.get("hours") ?? "24" });
  const trouble = h("div", {});
  const body = h("div", { class: "page" });
  let known = "";
  const draw = async () => {
    const seen = await get(withQuery("overview", { hours: reach.value }), { signal: params.signal });
    const text = JSON.stringify(seen);
    if (text === known) return;
    known = text;
    redraw(body, tiles(seen), running(seen.running), past(seen));
  };
  main.append(
    h("header", {}, h("h1", {}, "Overview"),
      h("div", { class: "row" }, h("label", { for: reach.id }, "Show the"), reach)),
    trouble, body);
  await draw();
  const loop = repeat(draw, () => 3000, trouble);
  reach.addEventListener("change", loop.now);
  return loop.stop;
}

function tiles({ health, rows_per_second: speed, running: jobs }) {
  const { database, queue, workers } = health;
  const oldest = queue.oldest_seconds === null ? "nothing waits"
    : `the oldest for ${duration(queue.oldest_seconds * 1000)}`;
  return h("section", { class: "grid tiles", "aria-label": "Now" },
    tile("Speed now", [number(speed), h("small", {}, " rows/s")], jobs.length
      ? `in ${plural(jobs.length, "job")}` : "no job runs"),
    tile("Waiting", [number(queue.waiting), h("small", {}, queue.waiting === 1 ? " job" : " jobs")], oldest),
    tile("Workers", [number(workers.alive), h("small", {}, " alive")], workers.alive
      ? badge("ready", "good")
      : [badge("none", "bad"), " jobs wait; start one: ", h("code", {}, "pgsluice worker")]),
    tile("Database", h("span", { class: "word" }, database.name ?? "–"),
      [badge(database.read_only ? "read only" : database.status, database.read_only
        ? "warn" : database.status === "ok" ? "good" : "bad"),
      ` Postgres ${database.version ?? ""}`]));
}

function tile(name, value, note) {
  return h("div", { class: "card tile" }, h("h2", {}, name), h("div", { class: "big" }, value),
    h("div", { class: "muted" }, note));
}

function running(jobs) {
  return h("section", { class: "card" }, h("h2", {}, "Running"), jobs.length
    ? h("ul", { class: "plain-list running" }, jobs.map(job => h("li", {},
      h("div", { class: "bar-head" },
        h("a", { href: jobLink(job), dataset: { focus: job.job_id }, class: "wrap" }, jobName(job)),
        badge(job.phase ?? job.kind, "run")),
      progress(job),
      h("div", { class: "muted" }, [`${number(job.progress.rows)} rows`,
        `${number(job.metrics.rows_per_second)} rows/s`,
        `${job.progress.percent} %`,
      ].join(" · ")))))
    : h("p", { class: "muted" }, "No job runs. ", h("a", { href: "#/import" }, "Import a file"), " or ",
      h("a", { href: "#/exports" }, "export a table"), "."));
}

function past(seen) {
  const total = Object.values(seen.results).reduce((sum, value) => sum + value, 0);
  if (!total) {
    return notice("", "No job has ended in this time. Dry runs are not counted here.");
  }
  const days = seen.hours > 48;
  const places = seen.series.map((place, at) => {
    const date = new Date(place.at);
    const step = Math.ceil(seen.series.length / 6);
    return { ...place, label: at % step ? "" : short(date, days), minor: at % (2 * step) > 0,
      title: date.toLocaleString([], { dateStyle: "short", timeStyle: "short" }) };
  });
  const chart = columns(places, PARTS, { title: "Records by time", unit: "records" });
  chart.querySelector("details").dataset.name = "time";
  return [
    h("section", { class: "card" }, h("h2", {}, "Records by time"), chart),
    h("div", { class: "grid halves" },
      h("section", { class: "card" }, h("h2", {}, "Jobs by result"),
        bar(RESULTS.map(([name, color]) => ({ name, color, value: seen.results[name] })), "Jobs by result")),
      h("section", { class: "card" }, h("h2", {}, "Rejected records by resource"),
        rejected(seen.resources))),
  ];
}

const short = (date, days) => (days
  ? date.toLocaleDateString([], { weekday: "short", day: "numeric" })
  : date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));

function rejected(resources) {
  const read = one => one.imported + one.rejected;
  const imported = resources.filter(read).sort((one, other) => other.rejected - one.rejected);
  const most = Math.max(...imported.map(one => one.rejected), 1);
  return table([
    { head: "Resource", class: "bar-cell", cell: one => [
      h("a", { href: `#/jobs?resource=${encodeURIComponent(one.resource)}`,
        dataset: { focus: `resource ${one.resource}` } }, one.resource),
      line(one.rejected / most, "c5")] },
    { head: "Rejected", num: true, cell: one => number(one.rejected) },
    { head: "of those read", num: true, cell: one => percent(one.rejected / read(one)) },
  ], imported, { caption: "Rejected records by resource", flat: true, empty: "Nothing was imported in this time." });
}
