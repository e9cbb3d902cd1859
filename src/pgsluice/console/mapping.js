// The header of a file beside the fields of a resource: the service's guesses, and selects to mend them.

import { badge, h, notice, problem, replace, select, table } from "./ui.js";
import { post } from "./api.js";

const HOW = {
  name: ["same name", "good"], alias: ["known by this name", "good"], spelling: ["spelt alike", "good"],
  mapping: ["chosen here", "run"], ignored: ["left out", "plain"],
};

const bare = name => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** Names that are no field, each with the free one that it holds or is held by: "Full name" and name. */
function suggested(columns) {
  const taken = new Set(columns.map(one => one.field));
  return columns.filter(one => one.how === null && one.nearest && bare(one.header)).flatMap(({ header, nearest }) => {
    const [own, other] = [bare(header), bare(nearest)];
    if (taken.has(nearest) || !(own.includes(other) || other.includes(own))) return [];
    taken.add(nearest);
    return [[header, nearest]];
  });
}

/** A node that shows how a header fits; load(about, peeked) fills it, mapping() is the option. */
export function mappingForm() {
  const node = h("div", { class: "stack" });
  let state = null;

  async function load(about, peeked) {
    const same = state?.resource === about.name && String(state.peeked.header) === String(peeked.header);
    state = { resource: about.name, peeked, mapping: same ? state.mapping : {},
      fields: [...about.fields.filter(one => !one.read_only).map(one => one.name), ...about.children] };
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
    state.undecided = found.columns.findIndex(one => one.how === null);
    const alike = suggested(found.columns);
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
        alike.length > 0 && h("button", { type: "button", class: "small", onclick: () => decide(alike) },
          alike.length > 3 ? `Take the ${alike.length} suggestions`
            : `Take ${alike.map(([header, name]) => `${header} as ${name}`).join(", ")}`),
        h("button", { type: "button", class: "small", onclick: () => decide(unknown.map(one => [one.header, null])) },
          unknown.length === 1 ? "Leave it out" : "Leave them out"))),
      found.twice.length > 0 && notice("bad", `Two names mean the same field: ${found.twice.join(", ")}. Leave one out.`),
      found.missing.length > 0 && notice("",
        `New rows also need ${found.missing.join(", ")}; without, only rows that exist can be updated.`));
  }

  function decide(pairs) {
    for (const [header, name] of pairs) state.mapping[header] = name;
    match().then(() => node.querySelector("select")?.focus()).catch(error => replace(node, problem(error)));
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
    /** Go to a name that is no field and for which nothing was chosen; false if there is none. */
    ask() {
      const open = state && state.undecided >= 0;
      if (open) node.querySelectorAll("select")[state.undecided].focus();
      return open;
    },
    mapping: () => (state && Object.keys(state.mapping).length ? state.mapping : null),
    clear() {
      state = null;
      replace(node);
    },
  };
}
