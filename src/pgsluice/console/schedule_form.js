// The form of a schedule: what it does, and when.

import { dialog, field, h, problem, replace, select, time, uid } from "./ui.js";
import { config, get, post, put, withQuery } from "./api.js";
import { PATTERNS, cronWords } from "./cron.js";
import { EXPORTS } from "./words.js";

const SOURCES = [["url", "an address (https://…)"], ["source_path", "a file in the service's folder"],
  ["object", "a file in the store"]];
const FORMATS = { export: EXPORTS,
  import: [["", "by its name"], ...new Set(Object.values(config.files))] };
// what has a control of its own; the rest is JSON
const SHOWN = ["resource", "resource_type", "format", "compression", "url", "source_path", "object"];

/** Make a schedule, or change one; the schedule as it is then, null if it was left. */
export async function edit(old) {
  const resources = await get("resources");
  const name = h("input", { required: true, maxlength: 100, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*",
    autocomplete: "off", value: old?.name ?? "", readonly: Boolean(old) });
  const what = whatPart(old, resources.map(one => one.name));
  const when = whenPart(old);
  const missed = select([["once", "make one job for all of them"], ["skip", "leave them out"]],
    { value: old?.missed ?? "once" });
  const made = await dialog({
    title: old ? `Schedule ${old.name}` : "New schedule", wide: true,
    body: h("div", { class: "page" }, field("Name", name, "letters, digits, . _ -"), when.node, what.node,
      field("Runs missed while no worker was there", missed)),
    actions: [{ label: "Cancel", value: null }, { label: "Save", value: "ok" }],
    onsubmit: () => {
      const asked = { ...when.read(), ...what.read(), missed: missed.value, paused: old?.paused ?? false };
      return old ? put(`schedules/${encodeURIComponent(old.name)}`, asked)
        : post("schedules", { name: name.value.trim(), ...asked });
    },
  });
  when.stop();
  return made;
}

function whatPart(old, names) {
  const request = old?.request ?? {};
  const kind = select([["export", "export to the store"], ["import", "import"]], { value: old?.kind ?? "export" });
  const given = request.resource ?? request.resource_type;
  const resource = select(given && !names.includes(given) ? [given, ...names] : names,
    given ? { value: given } : {});
  const compression = select([["", "none"], "gzip", "zstd"], { value: request.compression ?? "" });
  const source = select(SOURCES, { value: SOURCES.map(([one]) => one).find(one => request[one]) ?? "url" });
  const from = h("input", { value: request[source.value] ?? "", autocomplete: "off", spellcheck: "false" });
  const rest = Object.fromEntries(Object.entries(request).filter(([one]) => !SHOWN.includes(one)
    || (one === "resource" && typeof request[one] !== "string")));
  const more = h("textarea", { spellcheck: "false",
    value: Object.keys(rest).length ? JSON.stringify(rest, null, 2) : "" });
  const format = h("select", {});
  const change = () => {
    const isImport = kind.value === "import";
    places.from.hidden = places.source.hidden = !isImport;
    places.compression.hidden = isImport;
    from.required = isImport;
    replace(format, FORMATS[kind.value].map(one => [one].flat())
      .map(([value, words = value]) => h("option", { value }, words)));
  };
  const places = { compression: field("Compression", compression), source: field("From", source),
    from: field("Which", from, "URL, path or name") };
  kind.addEventListener("change", change);
  change();
  if (request.format) format.value = request.format;
  const node = h("fieldset", {}, h("legend", {}, "What"), h("div", { class: "stack" },
    h("div", { class: "fields" }, field("Do", kind), field("Resource", resource), places.source, places.from,
      field("Format", format), places.compression),
    h("details", { open: Boolean(more.value) }, h("summary", {}, "More options"),
      field("Further options as JSON", more, 'as in a request, such as {"filters": {"active": true}} or {"mode": "insert"}'))));
  return { node, read: () => ({ kind: kind.value, request: ask() }) };

  function ask() {
    const asked = {};
    if (!rest.resources) asked.resource = resource.value;
    if (format.value) asked.format = format.value;
    if (kind.value === "import") asked[source.value] = from.value.trim();
    else if (compression.value) asked.compression = compression.value;
    try {
      return { ...asked, ...(more.value.trim() ? JSON.parse(more.value) : {}) };
    } catch {
      throw { title: "Further options", detail: "They must be a JSON object, such as {\"limit\": 100}." };
    }
  }
}

function whenPart(old) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const cron = h("input", { required: true, value: old?.cron ?? "30 4 * * *", autocomplete: "off",
    spellcheck: "false", class: "mono" });
  const zones = h("datalist", { id: uid("zones") },
    ["UTC", ...Intl.supportedValuesOf("timeZone")].map(value => h("option", { value })));
  const zone = h("input", { required: true, list: zones.id, value: old?.time_zone ?? own ?? "UTC",
    autocomplete: "off" });
  const pattern = select([["", "no, it is written"], ...PATTERNS.map(([value, words]) => [value, words])]);
  const at = h("input", { type: "time", value: "04:30" });
  const words = h("div", { "aria-live": "polite", class: "stack" });
  let timer = null, asking = null;
  const show = async () => {
    asking?.abort();
    asking = new AbortController();
    try {
      const asked = { cron: cron.value, time_zone: zone.value };
      const { ticks } = await get(withQuery("cron", asked), { signal: asking.signal });
      cron.removeAttribute("aria-invalid");
      replace(words, cronWords(cron.value) ? h("div", {}, h("b", {}, cronWords(cron.value))) : null,
        h("div", { class: "hint" }, "Next, by your clock: ", ticks.map((tick, place) => [place ? " · " : "",
          time(tick, { relative: false })])));
    } catch (error) {
      if (error.name === "AbortError") return;
      cron.setAttribute("aria-invalid", "true");
      replace(words, problem(error));
    }
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(show, 300); };
  const help = () => {
    const found = PATTERNS.find(([value]) => value === pattern.value);
    if (!found || !at.value) return;
    const [hour, minute] = at.value.split(":").map(Number);
    cron.value = found[2]({ hour, minute });
    soon();
  };
  for (const one of [pattern, at]) one.addEventListener("input", help);
  for (const one of [cron, zone]) one.addEventListener("input", soon);
  show();
  const node = h("fieldset", {}, h("legend", {}, "When"), h("div", { class: "stack" },
    h("div", { class: "fields" }, field("Help me", pattern), field("At", at),
      field("Cron expression", cron, "minute hour day month weekday, or 20 seconds"),
      field("Time zone", zone, "whose clocks it follows")), zones, words));
  return { node, read: () => ({ cron: cron.value, time_zone: zone.value }),
    stop: () => { clearTimeout(timer); asking?.abort(); } };
}
