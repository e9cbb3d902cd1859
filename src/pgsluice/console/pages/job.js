// One job: its progress while it runs, what became of it, its errors, and mending them.

import { backTo, bytes, confirm, copy, duration, facts, h, jobBadge, notice, number, plural, problem, replace, time, toast }
  from "../ui.js";
import { del, download, get, key, post } from "../api.js";
import { hasDraft } from "../drafts.js";
import { follow } from "../follow.js";
import { isRunning, jobName } from "../jobs.js";
import { mendGrid } from "../mend.js";
import { LABELS } from "../options.js";
import { counts, differences, errors, verdict } from "../outcome.js";
import { isTable } from "../rejects.js";

// options that other lines tell
const SHOWN = ["parent", "format", "resource", "resources", "closed", "expires_in"];

export async function page(main, { id, signal }) {
  await show(main, await load(id, signal), signal);
}

/** The job, whichever kind it is. */
async function load(id, signal) {
  try {
    return await get(`imports/${id}`, { signal });
  } catch (error) {
    if (error.status !== 404) throw error;
    return get(`exports/${id}`, { signal });
  }
}

async function show(main, job, signal) {
  const trouble = h("div");
  const acting = (label, work, kind) => h("button", { type: "button", class: kind, onclick: async event => {
    event.target.disabled = true;
    replace(trouble);
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") replace(trouble, problem(error));
    } finally {
      event.target.disabled = false;
      backTo(event.target);
    }
  } }, label);
  const running = isRunning(job);
  const head = h("header", {},
    h("div", { class: "row" }, h("h1", {}, jobName(job)), !running && jobBadge(job),
      job.dry_run && h("span", { class: "badge plain" }, "dry run")),
    !running && h("div", { class: "row" },
      canRetry(job) && acting("Retry", async () => open(await post(`${job.links.self}/retry`))),
      acting("Delete", () => remove(job), "danger")));
  if (running) {
    const live = follow(job, signal);
    replace(main, head, trouble, live.node, about(job));
    const finish = async () => {
      try {
        await live.ended;
        if (signal.aborted) return;
        await show(main, await load(job.job_id, signal), signal);
        main.querySelector("h1").focus();
      } catch (error) {
        if (!signal.aborted) {
          replace(trouble, problem(error), h("button", { type: "button", onclick: finish }, "Try again"));
        }
      }
    };
    finish();
    return;
  }
  replace(main, head, trouble, ...(job.kind === "import" ? imported(job, acting) : exported(job, acting)));
  // the heading may be a new one: see app.js
  main.querySelector("h1").tabIndex = -1;
}

function imported(job, acting) {
  const rejected = job.counts.rejected > 0;
  // what was sent to be checked is mended where it came from: an import of its rejects alone would lose the rest
  const mendable = rejected && !(job.dry_run && job.parent_job_id);
  const mending = h("div");
  // what was typed before and not sent is there again
  if (rejected && hasDraft(job)) replace(mending, mendGrid(job, open));
  const mend = h("button", { type: "button", class: job.dry_run ? null : "primary", onclick: () => {
    if (!mending.childElementCount) replace(mending, mendGrid(job, open));
    mending.scrollIntoView({ block: "start" });
    mending.querySelector("h2").focus();
  } }, "Mend in place");
  const forms = isTable(job) ? ["csv", "xlsx"] : [job.format];
  return [
    h("section", { class: "card" }, verdict(job), job.dry_run && nextStep(job), job.counts.received > 0 && counts(job),
      (rejected || job.links.results) && h("div", { class: "row" },
        mendable && mend,
        rejected && forms.map(form => fileButton(acting,
          `Rejects as ${form} (${plural(job.counts.rejected, "record")})`,
          `${job.links.rejects}?format=${form}`, `rejects-${job.job_id}.${form}`)),
        rejected && fileButton(acting, "Errors as CSV", `${job.links.errors}?format=csv`, `errors-${job.job_id}.csv`),
        job.links.results && fileButton(acting, "Results", `${job.links.results}?format=csv`, `results-${job.job_id}.csv`))),
    mending, differences(job.sample), rejected && errors(job), about(job)];
}

/** Where what a dry run has judged is written: nothing of it is yet. */
function nextStep(job) {
  const parent = job.parent_job_id;
  const [label, path, hint] = !parent
    ? ["To the import", `import?resource=${encodeURIComponent(job.resource)}`, "Run the file for real there."]
    : hasDraft({ job_id: parent })
      ? ["Back to the mended records", `jobs/${parent}`, "They are as you left them: mend on, or import them."]
      : ["To the job before it", `jobs/${parent}`, "This was a dry run of its records."];
  return h("div", { class: "row" }, h("a", { class: "button primary", href: `#/${path}` }, label),
    h("span", { class: "hint" }, hint));
}

function exported(job, acting) {
  const done = job.status === "completed";
  const expired = done && job.expires_at && new Date(job.expires_at) < Date.now();
  const extension = `${job.format}${{ gzip: ".gz", zstd: ".zst" }[job.options.compression] ?? ""}`;
  return [h("section", { class: "card" },
    done ? notice("good", `Written: ${plural(job.exported, "row")} in a file of ${bytes(job.bytes)}.`) : verdict(job),
    done && (expired ? notice("warn", "The file has expired.")
      : h("div", { class: "row" }, fileButton(acting, `Download (${bytes(job.bytes)})`, job.links.download,
        `${(job.resources ?? [job.resource]).join("-")}.${extension}`, "primary"),
      job.expires_at && h("span", { class: "hint" }, "until ", time(job.expires_at, { relative: false }))))),
  about(job)];
}

/** A button that saves a file; with a key it passes through the page, so the size is told as it grows. */
function fileButton(acting, label, path, name, kind) {
  const size = h("span", { class: "hint" });
  const button = acting(label, async () => {
    try {
      await download(path, name, { onprogress: count => replace(size, bytes(count)) });
      if (key()) toast(`${name} is saved.`);
    } finally {
      replace(size);
    }
  }, kind);
  return h("span", { class: "row" }, button, size);
}

const canRetry = job => (job.kind === "import"
  ? job.counts.rejected > 0 || job.status !== "completed" : job.status !== "completed");

function open(job) {
  location.hash = `#/jobs/${job.job_id}`;
}

async function remove(job) {
  const sure = await confirm("Delete this job?",
    job.kind === "import" ? "Its rejects and errors go with it. The rows that it wrote stay."
      : "Its file goes with it.", "Delete");
  if (!sure) return;
  await del(job.links.self);
  toast("The job is deleted.");
  location.hash = "#/jobs";
}

function about(job) {
  const link = to => h("a", { href: `#/jobs/${to}` }, h("code", {}, to));
  const resources = job.resources ?? [job.resource];
  return h("section", { class: "card" }, h("h2", {}, "About this job"), facts([
    ["Id", h("span", { class: "row" }, h("code", {}, job.job_id),
      h("button", { type: "button", class: "small", onclick: () => copy(job.job_id) }, "Copy"))],
    ["Resource", resources.map(name => h("div", {}, h("a", { href: `#/resources/${encodeURIComponent(name)}` }, name)))],
    ["Format", job.format],
    ["File", job.file_name],
    ["Source", job.source ? h("code", {}, Object.values(job.source).filter(Boolean).join(" ")) : null],
    ["Size", job.metrics.bytes ? bytes(job.metrics.bytes) : null],
    ["SHA-256", job.sha256 ? h("code", {}, job.sha256) : null],
    ["Created", time(job.created_at, { relative: false })],
    ["Started", job.started_at ? time(job.started_at, { relative: false }) : null],
    ["Took", job.completed_at ? duration(job.metrics.duration_ms) : null],
    ["Speed", job.metrics.rows_per_second ? `${number(job.metrics.rows_per_second)} rows/s` : null],
    ["Kept until", job.expires_at ? time(job.expires_at, { relative: false }) : null],
    ["Mends or retries", job.parent_job_id ? link(job.parent_job_id) : null],
    ["Made by schedule", job.schedule],
    ["Told to", job.callback_url ? h("code", {}, job.callback_url) : null],
    ["Names left out", job.ignored_fields?.length ? cut(job.ignored_fields.join(", ")) : null],
    ...Object.entries(job.options ?? {}).filter(([name]) => !SHOWN.includes(name)).map(([name, value]) => [LABELS[name] ?? `Option ${name}`, option(value)]),
  ]));
}

const option = value => h("code", {},
  value === "\t" ? "tab" : cut(typeof value === "string" ? value : JSON.stringify(value)));

const cut = text => (text.length > 400 ? `${text.slice(0, 400)} …` : text);
