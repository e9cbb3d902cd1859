// Imports and exports that begin by the clock.

import { badge, confirm, dialog, h, notice, problem, redraw, replace, table, time, toast } from "../ui.js";
import { askKey, del, get, post } from "../api.js";
import { repeat } from "../jobs.js";
import { edit } from "../schedule_form.js";
import { cronWords } from "../cron.js";

export async function page(main, { signal }) {
  const list = h("div", { class: "stack" });
  const trouble = h("div", {});
  let known = "";
  const draw = async () => {
    const { schedules } = await get("schedules", { signal });
    const text = JSON.stringify(schedules);
    if (text === known) return;
    known = text;
    redraw(list, shown(schedules, actions));
  };
  const path = one => `schedules/${encodeURIComponent(one.name)}`;
  const act = async (work, done) => {
    try {
      await work();
      toast(done);
      await draw();
      replace(trouble);
    } catch (error) {
      replace(trouble, problem(error));
    }
  };
  const actions = {
    run: one => act(() => post(`${path(one)}/run`), `${one.name} runs.`),
    pause: one => act(() => post(`${path(one)}/${one.paused ? "resume" : "pause"}`),
      one.paused ? `${one.name} goes on.` : `${one.name} is paused.`),
    edit: async one => { if (await edit(one)) await act(async () => {}, `${one.name} is saved.`); },
    remove: async one => {
      if (await confirm(`Remove ${one.name}?`, "It will not run any more. The jobs that it made stay.", "Remove")) {
        await act(() => del(path(one)), `${one.name} is removed.`);
      }
    },
    ticks: async one => ticks(await get(path(one), { signal })),
  };
  main.append(
    h("header", {}, h("h1", {}, "Schedules"), h("button", { class: "primary", onclick: async () => {
      const made = await edit(null);
      if (made) await act(async () => {}, `${made.name} is saved.`);
    } }, "New schedule")),
    h("p", { class: "lead" }, "Imports from an address, a folder or the store, and exports to the store, ",
      "that begin by themselves. Any worker fires them, each tick once."),
    trouble, list);
  try {
    await draw();
  } catch (error) {
    if (error.status !== 403) throw error;
    replace(list, notice("warn", h("div", { class: "stack" },
      h("p", {}, h("b", {}, "Schedules are for keys that may import or export. "), error.detail, "."),
      h("div", {}, h("button", { onclick: async () => {
        if (await askKey(error.detail)) await draw();
      } }, "Use another key")))));
    return null;
  }
  return repeat(draw, () => 5000, trouble).stop;
}

function shown(schedules, actions) {
  const button = (one, name, label, kind = "") => h("button", { class: `small ${kind}`,
    dataset: { focus: `${name} ${one.name}` }, "aria-label": `${label} ${one.name}`,
    onclick: () => actions[name](one) }, label);
  return table([
    { head: "Name", class: "wrap", cell: one => [
      h("div", {}, h("button", { class: "plain small as-link", dataset: { focus: `ticks ${one.name}` },
        "aria-label": `${one.name}: its last ticks`, onclick: () => actions.ticks(one) }, one.name)),
      h("div", { class: "hint" }, does(one))] },
    { head: "When", cell: one => [h("code", { class: "nowrap" }, one.cron),
      h("div", { class: "hint" }, [cronWords(one.cron), one.time_zone].filter(Boolean).join(", "))] },
    { head: "Next", class: "nowrap", cell: one => (one.paused ? badge("paused") : time(one.next_at)) },
    { head: "Last", cell: one => last(one) },
    { head: h("span", { class: "sr" }, "Actions"), cell: one => h("div", { class: "row actions" },
      button(one, "run", "Run now"), button(one, "pause", one.paused ? "Resume" : "Pause"),
      button(one, "edit", "Edit"), button(one, "remove", "Remove", "danger")) },
  ], schedules, { caption: "Schedules", empty: "Nothing runs by the clock yet." });
}

/** What a schedule does, in words: "export users as csv". */
function does({ kind, request }) {
  const what = [request.resource ?? request.resource_type ?? request.resources].flat().join(", ");
  const from = request.url ?? request.source_path ?? request.object;
  return kind === "export" ? `export ${what} as ${request.format ?? "ndjson"}`
    : `import ${what}${from ? ` from ${from}` : ""}`;
}

function last(one) {
  if (one.last_error) return [badge("no job", "bad"), h("div", { class: "hint badly" }, one.last_error)];
  if (!one.last_at && !one.last_job_id) return "never";
  return [one.last_job_status ? badge(one.last_job_status) : null, " ",
    one.last_job_id ? h("a", { href: `#/jobs/${one.last_job_id}`,
      "aria-label": `Last job of ${one.name}` }, time(one.last_at) === "–" ? "job" : time(one.last_at))
      : time(one.last_at)];
}

/** The last ticks of a schedule, in a dialog. */
function ticks(one) {
  const rows = table([
    { head: "Due", class: "nowrap", cell: tick => time(tick.due_at, { relative: false }) },
    { head: "Result", cell: tick => (tick.error ? [badge("no job", "bad"), " ", tick.error]
      : tick.job_id ? h("a", { href: `#/jobs/${tick.job_id}`, onclick: event =>
        event.target.closest("form").requestSubmit() }, tick.job_status ?? "job") : "its job is gone") },
    { head: "Worker", class: "wrap", cell: tick => tick.worker ?? "–" },
  ], one.ticks, { caption: `Last ticks of ${one.name}`, empty: "It has not ticked yet." });
  return dialog({ title: `Last ticks of ${one.name}`, wide: true, body: rows,
    actions: [{ label: "Close", value: "ok" }] });
}
