// The header of a file beside the fields of a resource: the service's guesses, and selects to mend them.

import { badge, h, notice, problem, replace, select, table } from "./ui.js";
import { get, post } from "./api.js";

const HOW = {
  name: ["same name", "good"], alias: ["known by this name", "good"], spelling: ["spelt alike", "good"],
  mapping: ["chosen here", "run"], ignored: ["left out", "plain"],
};

/** A node that shows how a header fits; load(resource, peeked) fills it, mapping() is the option. */
export function mappingForm() {
  const node = h("div", { class: "stack" });
  let state = null;

  async function load(resource, peeked) {
    const same = state?.resource === resource && String(state.peeked.header) === String(peeked.header);
    state = { resource, peeked, mapping: same ? state.mapping : {} };
    const about = await get(`resources/${encodeURIComponent(resource)}`);
    state.fields = [...about.fields.filter(one => !one.read_only).map(one => one.name), ...about.children];
    await match();
  }

  async function match() {
    const mine = state;
    const found = await post(`resources/${encodeURIComponent(mine.resource)}/header`,
      { header: mine.peeked.header, mapping: mine.mapping });
    if (mine === state) show(found);
  }

  async function choose(name, value, at) {
    if (value === "") delete state.mapping[name];
    else state.mapping[name] = value === "_ignore" ? null : value;
    try {
      await match();
      node.querySelectorAll("select")[at]?.focus();
    } catch (error) {
      replace(node, problem(error));
    }
  }

  function show(found) {
    const unknown = found.columns.filter(one => one.how === null);
    replace(node,
      table([
        { head: "In the file", class: "wrap", cell: row => h("b", {}, row.header || "(no name)") },
        { head: "Field", cell: (row, at) => chooser(row, at) },
        { head: "Match", cell: row => {
          const [word, kind] = HOW[row.how] ?? ["no such field", "bad"];
          return row.how === "mapping" && row.field === null ? badge("left out", "plain") : badge(word, kind);
        } },
        { head: "First values", class: "wrap muted", cell: (_, at) =>
          state.peeked.samples[at].filter(value => value !== "").slice(0, 2)
            .map(value => (value.length > 40 ? `${value.slice(0, 40)}…` : value)).join(" · ") },
      ], found.columns, { caption: "Header and fields" }),
      unknown.length > 0 && notice("warn", h("div", { class: "row" },
        h("span", {}, unknown.length === 1 ? `${unknown[0].header || "A column without a name"} is no field of ${state.resource}.`
          : `${unknown.length} names are no fields of ${state.resource}.`,
        " Choose a field, or leave it out."),
        h("button", { type: "button", class: "small", onclick: () => leaveOut(unknown) },
          unknown.length === 1 ? "Leave it out" : "Leave them out"))),
      found.twice.length > 0 && notice("bad", `Two names mean the same field: ${found.twice.join(", ")}. Leave one out.`),
      found.missing.length > 0 && notice("",
        `New rows also need ${found.missing.join(", ")}; without, only rows that exist can be updated.`));
  }

  function leaveOut(columns) {
    for (const { header } of columns) state.mapping[header] = null;
    match().catch(error => replace(node, problem(error)));
  }

  function chooser(row, at) {
    const chosen = row.header in state.mapping ? state.mapping[row.header] ?? "_ignore" : "";
    const guess = row.how === "ignored" ? "left out" : row.field && row.how !== "mapping"
      ? row.field : row.nearest ? `choose … (${row.nearest}?)` : "choose …";
    return select([["", row.how === "mapping" ? "as guessed" : guess], ["_ignore", "leave out"], ...state.fields],
      { value: chosen, "aria-label": `Field for ${row.header}`, disabled: row.how === "ignored",
        onchange: event => choose(row.header, event.target.value, at) });
  }

  return {
    node, load,
    mapping: () => (state && Object.keys(state.mapping).length ? state.mapping : null),
    clear() {
      state = null;
      replace(node);
    },
  };
}
