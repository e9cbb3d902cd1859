// API keys, for those whose key has the scope admin.

import { announce, badge, check, copy, dialog, field, h, notice, number, redraw, replace, select,
  table, time } from "../ui.js";
import { askKey, del, get, key, post, setKey } from "../api.js";

const SCOPES = [["import", "send and watch imports"], ["export", "read tables"],
  ["admin", "everything, keys and schedules of others too"]];
const KINDS = { active: "good", expired: "warn", revoked: "plain" };

export async function page(main, { signal }) {
  const list = h("div", { class: "stack" });
  const draw = async () => {
    let keys;
    try {
      ({ keys } = await get("keys", { signal }));
    } catch (error) {
      if (error.status !== 403) throw error;
      replace(list, refusal(error, draw));
      return;
    }
    redraw(list, keys.length ? null : notice("warn", h("b", {}, "There is no key yet. "),
      "Whoever is on this machine may do everything. From the first key on, every request needs one: ",
      "give the first one the scope admin, or keys can be made by ", h("code", {}, "pgsluice key"), " only."),
    h("div", {}, h("button", { class: "primary", dataset: { focus: "new" }, onclick: () => create(keys, draw) }, "New key")),
    keys.length ? shown(keys, draw) : null);
  };
  main.append(h("h1", {}, "API keys"),
    h("p", { class: "lead" }, "A key says who asks, and what they may do. Only a hash of it is kept: ",
      "it is shown once, when it is made."), list);
  await draw();
}

function refusal(error, again) {
  return notice("warn", h("div", { class: "stack" },
    h("p", {}, h("b", {}, "Keys are for keys with the scope admin. "), error.detail, "."),
    h("div", {}, h("button", { onclick: async () => { if (await askKey(error.detail)) await again(); } },
      "Use another key"))));
}

function shown(keys, draw) {
  return table([
    { head: "Name", class: "wrap", cell: one => [h("b", {}, one.name),
      h("div", { class: "hint" }, h("code", {}, `${one.hint}…`))] },
    { head: "State", cell: one => badge(one.state, KINDS[one.state]) },
    { head: "May", cell: one => one.scopes.join(", ") },
    { head: "Resources", class: "wrap", cell: one => one.resources?.join(", ") ?? "all" },
    { head: "Role", cell: one => (one.role ? h("code", {}, one.role) : "–") },
    { head: "Per minute", num: true, cell: one => (one.rate_limit ? number(one.rate_limit) : "–") },
    { head: "Expires", class: "nowrap", cell: one => time(one.expires_at) },
    { head: "Last used", class: "nowrap", cell: one => time(one.last_used_at) },
    { head: h("span", { class: "sr" }, "Actions"), cell: one => (one.state === "revoked" ? null
      : h("div", { class: "row actions" },
        h("button", { class: "small", dataset: { focus: `rotate ${one.name}` }, "aria-label": `Rotate ${one.name}`, onclick: () => rotate(one, draw) }, "Rotate"),
        h("button", { class: "small danger", dataset: { focus: `revoke ${one.name}` }, "aria-label": `Revoke ${one.name}`, onclick: () => revoke(one, draw) }, "Revoke"))) },
  ], keys, { caption: "API keys" });
}

async function create(keys, draw) {
  const resources = await get("resources");
  const name = h("input", { required: true, maxlength: 100, autocomplete: "off",
    pattern: "[A-Za-z0-9][A-Za-z0-9 ._@\\-]*" });
  const scopes = SCOPES.map(([value, words]) => check(`${value}: ${words}`,
    { value, checked: keys.length ? value !== "admin" : true }));
  const only = resources.map(one => check(one.name, { value: one.name }));
  const role = h("input", { autocomplete: "off", spellcheck: "false" });
  const rate = h("input", { type: "number", min: 1, max: 2147483647, step: 1 });
  const days = select([["", "never"], ["1", "in a day"], ["30", "in 30 days"], ["90", "in 90 days"],
    ["365", "in a year"]]);
  const profile = select([["", "the present one"], ["realworld", "realworld"], ["nest", "nest"]]);
  const marked = boxes => boxes.filter(one => one.box.checked).map(one => one.box.value);
  const made = await dialog({
    title: "New API key", wide: true,
    body: h("div", { class: "stack" },
      field("Name", name, "who or what will use it, such as loader"),
      h("fieldset", {}, h("legend", {}, "It may"), h("div", { class: "stack" }, scopes)),
      h("fieldset", {}, h("legend", {}, "Only these resources (none marked: all)"),
        h("div", { class: "row" }, only)),
      h("div", { class: "fields" },
        field("Expires", days), field("Requests a minute", rate, "empty: as the service is set"),
        field("Database role", role, "whose grants and row level security bind its work"),
        field("Shape of replies", profile, "that of an earlier system, if its clients use the key"))),
    actions: [{ label: "Cancel", value: null }, { label: "Make key", value: "ok" }],
    onsubmit: () => post("keys", {
      name: name.value.trim(), scopes: marked(scopes), resources: marked(only).length ? marked(only) : null,
      role: role.value.trim() || null, profile: profile.value || null,
      rate_limit: rate.value ? Number(rate.value) : null,
      expires_at: days.value ? new Date(Date.now() + days.value * 86400e3).toISOString() : null,
    }),
  });
  if (!made) return;
  await secret(made, keys.length === 0 && marked(scopes).includes("admin"));
  await draw();
}

/** Show a secret, this once; the first key is needed from now on, here too. */
async function secret(made, isFirst) {
  const words = h("output", { class: "secret" }, made.key);
  const use = check("Use it in this tab from now on", { checked: true });
  await dialog({
    title: `Key ${made.name}`,
    body: h("div", { class: "stack" },
      h("p", {}, "Copy it now: it is not shown again."), words,
      h("div", {}, h("button", { type: "button", onclick: async () => {
        if (!await copy(made.key)) getSelection().selectAllChildren(words);
      } }, "Copy")),
      isFirst && !key() ? use : null),
    actions: [{ label: "I have it", value: "ok" }], firm: true,
  });
  if (isFirst && !key() && use.box.checked) setKey(made.key, false);
}

async function rotate(one, draw) {
  const made = await ask(`Give ${one.name} a new secret?`, "The old one works for another day, so that whoever "
    + "uses it has time to change.", "Rotate", "primary", () => post(`keys/${encodeURIComponent(one.name)}/rotate`));
  if (made) {
    await secret(made, false);
    await draw();
  }
}

async function revoke(one, draw) {
  const done = await ask(`Revoke ${one.name}?`, "Requests with it are refused from now on. Jobs that it began go on. "
    + "This cannot be undone.", "Revoke", "danger primary", () => del(`keys/${encodeURIComponent(one.name)}`));
  if (done) {
    announce(`${one.name} is revoked`);
    await draw();
  }
}

/** Ask, then do it: what the work gives, null if it was left. A refusal is shown where it was asked. */
const ask = (title, text, label, kind, work) => dialog({ title, body: h("p", {}, text),
  actions: [{ label: "Cancel", value: null }, { label, value: "yes", kind }], onsubmit: work });
