// Import: choose a file, see how its header fits, try it, run it.

import { backTo, bytes, field, h, notice, problem, replace, select } from "../ui.js";
import { config, get, post } from "../api.js";
import { follow } from "../follow.js";
import { mappingForm } from "../mapping.js";
import { optionsForm } from "../options.js";
import { counts, differences, errors, verdict } from "../outcome.js";
import { peek } from "../peek.js";
import { isTable } from "../rejects.js";
import { sendFile } from "../sending.js";

// The page as it was left: whoever comes back from the rules of a resource or from a job goes on.
let kept = null;
addEventListener("pgsluice-key", () => { kept = null; });

export async function page(main, { query, signal }) {
  const resources = (await get("resources", { signal })).filter(one => !one.error);
  const known = JSON.stringify(resources);
  if (kept?.known !== known) kept = { known, ...form(resources) };
  await kept.enter(query.get("resource"), signal);
  main.append(kept.node);
}

function form(resources) {
  let file = null, peeked = null, touched = false, signal = null;

  const about = h("div", { class: "stack" });
  const trouble = h("div");
  const work = h("div", { class: "stack" });
  const resource = select([["", "choose …"], ...resources.map(one => one.name)], {
    required: true, onchange: () => { touched = true; fit(); },
  });
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
  const before = h("p", { class: "lead" }, "How its names fit the table is shown before anything is sent, and nothing ",
    "is written until you say so. No file yet? Each ", h("a", { href: "#/resources" }, "resource"),
    " has templates to fill in.");
  const node = h("div", { class: "page" }, h("h1", {}, "Import"), chooser(take), before, trouble, setup, work);

  async function take(chosen) {
    file = chosen;
    replace(work);
    await look();
  }

  /** Read the beginning of the file again, as the options now say. */
  async function look() {
    if (!file) return;
    busy(true);
    const { delimiter, encoding, sheet } = options.values();
    await guarded(async () => {
      peeked = await peek(file, { delimiter: delimiter === "tab" ? "\t" : delimiter, encoding, sheet });
      options.sheets(peeked.sheets ?? []);
      if (peeked.encoding && !encoding) options.set("encoding", peeked.encoding);
      replace(about, h("p", {}, h("b", { dir: "auto" }, file.name), ` · ${bytes(file.size)} · ${peeked.format}`),
        peeked.note && notice("", peeked.note),
        peeked.encoding && notice("warn", `The text is not UTF-8; it is read as ${peeked.encoding}. `
          + "Another encoding can be chosen under Options."));
      replace(node.querySelector("#chosen"), about);
      setup.hidden = false;
      before.hidden = true;
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
    const chosen = resources.find(one => one.name === resource.value);
    options.fit(chosen?.fields ?? []);
    if (!chosen || !peeked?.header) mapping.clear();
    else await guarded(() => mapping.load(chosen, peeked));
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

  function filled(dryRun) {
    const made = new FormData();
    const given = { resource: resource.value, ...options.values() };
    if (!peeked.named) given.format = peeked.format;
    if (mapping.mapping()) given.mapping = JSON.stringify(mapping.mapping());
    if (dryRun) given.dry_run = options.dryRun();
    for (const [name, value] of Object.entries(given)) made.append(name, value);
    // last: what stands before it is judged before it is sent
    made.append("file", file, file.name);
    return made;
  }

  async function run(dryRun) {
    // a table with such a name is refused, once all of it was sent
    if (isTable(peeked) && !options.values().unknown_fields && mapping.ask()) {
      replace(work, notice("warn", "Names of the file are no fields: choose a field for each, or leave it out. "
        + "Under Options such names can also be ignored."));
      return;
    }
    busy(true);
    // what is on its way is not exchanged
    const input = node.querySelector("#file");
    input.disabled = true;
    try {
      const job = await sendFile(file, filled(dryRun), work, signal);
      if (!job) return;
      if (!dryRun) {
        kept = null;
        location.hash = `#/jobs/${job.job_id}`;
        return;
      }
      // followed to its end, whichever page is looked at: who comes back finds the result
      const live = follow(job);
      replace(work, live.node);
      result(await live.ended);
    } catch (error) {
      if (error.name !== "AbortError") replace(work, problem(error));
    } finally {
      input.disabled = false;
      busy(false);
      backTo(dryRun ? dry : real);
    }
  }

  function busy(is) {
    dry.disabled = real.disabled = is || !resource.value;
    node.toggleAttribute("aria-busy", is);
  }

  function result(job) {
    const again = h("button", { type: "button", class: "primary", onclick: () => run(false) }, "Run for real");
    replace(work, h("section", { class: "card" },
      h("div", { class: "bar-head" }, h("h2", { tabindex: "-1" }, "Result of the dry run"),
        h("a", { href: `#/jobs/${job.job_id}` }, "Open as a job")),
      verdict(job), counts(job),
      job.status === "completed" && h("div", { class: "row" }, again,
        h("span", { class: "hint" }, `Sends the file again (${bytes(file.size)}).`,
          job.counts.rejected > 0 && " Its rejects can be mended then, on the page of its job."))),
    differences(job.sample), job.counts.rejected > 0 && errors(job));
    if (node.isConnected) work.querySelector("h2").focus();
  }

  return {
    node,
    /** The page is looked at, until `until`; a link may have named the resource. */
    async enter(named, until) {
      signal = until;
      if (named && named !== resource.value) {
        resource.value = named;
        touched = true;
        if (file) await fit();
      }
    },
  };
}

const NAMES = { csv: "CSV", xlsx: "Excel (.xlsx)", ndjson: "NDJSON", json: "JSON", parquet: "Parquet" };
const formats = [...new Set(Object.values(config.files))].map(name => NAMES[name] ?? name).join(", ");

/** A place to drop a file on, or to choose one with the keyboard. */
function chooser(take) {
  const input = h("input", { type: "file", id: "file", class: "sr",
    accept: [...Object.keys(config.files), "txt", "gz", "zst"].map(suffix => `.${suffix}`).join(),
    // the same file again is a choice too: it may have been mended meanwhile
    onclick: () => { input.value = ""; },
    onchange: () => input.files[0] && take(input.files[0]) });
  const zone = h("label", { class: "drop", for: "file" },
    h("span", { id: "chosen" }, h("b", {}, "Choose a file"), " or drop it here"),
    h("span", { class: "hint" }, `${formats}; also packed with gzip or zstd`));
  const over = is => event => {
    event.preventDefault();
    if (input.disabled) return;
    zone.classList.toggle("over", is);
    if (event.type === "drop" && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", over(false));
  return h("div", { class: "drop-place" }, input, zone);
}
