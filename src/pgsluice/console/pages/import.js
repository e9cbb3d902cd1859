// Import: choose a file, see how its header fits, try it, run it.

import { bytes, field, h, notice, problem, replace, select } from "../ui.js";
import { Problem, get, post, upload } from "../api.js";
import { follow, sending } from "../follow.js";
import { mappingForm } from "../mapping.js";
import { optionsForm } from "../options.js";
import { counts, differences, errors, verdict } from "../outcome.js";
import { peek } from "../peek.js";

export async function page(main, { query, signal }) {
  const resources = (await get("resources", { signal })).filter(one => !one.error);
  let file = null, peeked = null, sent = null, touched = false;

  const about = h("div", { class: "stack" });
  const trouble = h("div");
  const work = h("div", { class: "stack" });
  const resource = select([["", "choose …"], ...resources.map(one => one.name)], {
    value: query.get("resource") ?? "", required: true, onchange: () => { touched = true; fit(); },
  });
  touched = resource.value !== "";
  const mapping = mappingForm();
  const options = optionsForm(() => look());
  const dry = h("button", { type: "button", class: "primary", onclick: () => run(true) }, "Dry run");
  const real = h("button", { type: "button", onclick: () => run(false) }, "Import without a dry run");
  const setup = h("div", { class: "page", hidden: true },
    h("section", { class: "card" }, h("h2", {}, "Where to"),
      h("div", { class: "fields" }, field("Resource", resource)), mapping.node),
    options.node,
    h("div", { class: "row" }, dry, real,
      h("span", { class: "hint" }, "A dry run judges every record and writes nothing.")));

  main.append(h("h1", {}, "Import"), chooser(take), trouble, setup, work);

  async function take(chosen) {
    file = chosen;
    replace(work);
    await look();
  }

  /** Read the beginning of the file again, as the options now say. */
  async function look() {
    if (!file) return;
    busy(true);
    const { delimiter, encoding } = options.values();
    await guarded(async () => {
      peeked = await peek(file, { delimiter: delimiter === "tab" ? "\t" : delimiter, encoding });
      if (peeked.encoding && !encoding) options.set("encoding", peeked.encoding);
      replace(about, h("p", {}, h("b", {}, file.name), ` · ${bytes(file.size)} · ${peeked.format}`),
        peeked.note && notice("", peeked.note),
        peeked.encoding && notice("warn", `The text is not UTF-8; it is read as ${peeked.encoding}. `
          + "Another encoding can be chosen under Options."));
      replace(main.querySelector("#chosen"), about);
      setup.hidden = false;
      if (!touched) await guess();
      await fit();
    });
    busy(false);
  }

  async function guess() {
    const [best] = peeked.header ? await post("header", { header: peeked.header }) : [];
    const named = resources.find(one => file.name.toLowerCase().startsWith(one.name.toLowerCase()));
    if (best?.columns.some(one => one.field)) resource.value = best.resource;
    else if (named) resource.value = named.name;
  }

  async function fit() {
    busy(true);
    if (!resource.value || !peeked?.header) mapping.clear();
    else await guarded(() => mapping.load(resource.value, peeked));
    busy(false);
  }

  async function guarded(task) {
    try {
      replace(trouble);
      await task();
    } catch (error) {
      if (error.name !== "AbortError") replace(trouble, problem(error));
    }
  }

  function form(dryRun) {
    const made = new FormData();
    const given = { resource: resource.value, ...options.values() };
    if (!peeked.named) given.format = peeked.format;
    if (mapping.mapping()) given.mapping = JSON.stringify(mapping.mapping());
    if (dryRun) given.dry_run = "true";
    for (const [name, value] of Object.entries(given)) made.append(name, value);
    // last: what stands before it is judged before it is sent
    made.append("file", file, file.name);
    return made;
  }

  async function run(dryRun) {
    sent?.abort();
    sent = new AbortController();
    const own = sent;
    signal.addEventListener("abort", () => own.abort());
    const way = sending(file.name, () => own.abort());
    replace(work, way.node);
    way.node.scrollIntoView({ block: "nearest" });
    busy(true);
    try {
      const job = await upload("imports", form(dryRun), { onprogress: way.set, signal: own.signal });
      if (!dryRun) {
        location.hash = `#/jobs/${job.job_id}`;
        return;
      }
      const live = follow(job, own.signal);
      replace(work, live.node);
      result(await live.ended);
    } catch (error) {
      replace(work, error.name === "AbortError"
        ? notice("", "The upload was cancelled; nothing of it was kept.")
        : problem(await stillThere() ? error : new Problem(0, "The file has changed",
          "It is another one than was chosen here: choose it again.")));
    } finally {
      busy(false);
    }
  }

  /** Whether the file is as it was when it was chosen: browsers give no other. */
  async function stillThere() {
    try {
      await file.slice(0, 1).arrayBuffer();
      return true;
    } catch {
      return false;
    }
  }

  function busy(is) {
    dry.disabled = real.disabled = is || !resource.value;
    main.toggleAttribute("aria-busy", is);
  }

  function result(job) {
    const again = h("button", { type: "button", class: "primary", onclick: () => run(false) }, "Run for real");
    replace(work, h("section", { class: "card" },
      h("div", { class: "bar-head" }, h("h2", { tabindex: "-1" }, "Result of the dry run"),
        h("a", { href: `#/jobs/${job.job_id}` }, "Open as a job, to mend the rejects")),
      verdict(job), counts(job),
      job.status === "completed" && h("div", { class: "row" }, again,
        h("span", { class: "hint" }, `Sends the file again (${bytes(file.size)}).`))),
    differences(job.sample), job.counts.rejected > 0 && errors(job));
    work.querySelector("h2").focus();
  }
}

/** A place to drop a file on, or to choose one with the keyboard. */
function chooser(take) {
  const input = h("input", { type: "file", id: "file", class: "sr",
    accept: ".csv,.tsv,.txt,.json,.ndjson,.jsonl,.xlsx,.xlsm,.gz,.zst",
    // the same file again is a choice too: it may have been mended meanwhile
    onclick: () => { input.value = ""; },
    onchange: () => input.files[0] && take(input.files[0]) });
  const zone = h("label", { class: "drop", for: "file" },
    h("span", { id: "chosen" }, h("b", {}, "Choose a file"), " or drop it here"),
    h("span", { class: "hint" }, "CSV, Excel (.xlsx), NDJSON or JSON, also packed with gzip or zstd"));
  const over = is => event => {
    event.preventDefault();
    zone.classList.toggle("over", is);
    if (event.type === "drop" && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", over(false));
  return h("div", { class: "drop-place" }, input, zone);
}
