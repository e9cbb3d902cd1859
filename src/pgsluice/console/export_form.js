// The parts of a request for an export that follow the schema: fields, filters, order.

import { check, h, replace, select, uid } from "./ui.js";

const NAMES = { eq: "is", ne: "is not", in: "is one of", gte: "is at least", gt: "is more than",
  lte: "is at most", lt: "is less than", empty: "is empty", given: "has a value" };
const TIMES = { ...NAMES, gte: "is at or after", gt: "is after", lte: "is at or before", lt: "is before" };

const isTime = type => /^(date|time)/.test(type);
const isNumber = type => /^(smallint|integer|bigint|numeric|real|double precision)/.test(type);

/** The operators that go with a field, as [value, words]. */
function operators(field) {
  const names = isTime(field.type) ? TIMES : NAMES;
  const empty = field.nullable ? ["empty", "given"] : [];
  const known = field.kind === "json" ? ["empty", "given"]
    : field.kind === "boolean" ? ["eq", ...empty]
      : field.kind === "array" ? ["eq", "ne", ...empty]
        : isTime(field.type) ? ["gte", "lt", "gt", "lte", "eq", ...empty]
          : isNumber(field.type) ? ["eq", "ne", "gte", "gt", "lte", "lt", "in", ...empty]
            : ["eq", "ne", "in", "gte", "lt", ...empty];
  return known.map(value => [value, !isTime(field.type) && !isNumber(field.type)
    ? { gte: "comes at or after", lt: "comes before" }[value] ?? names[value] : names[value]]);
}

/** The control for the value of a filter. */
function control(field, operator) {
  if (operator === "empty" || operator === "given") return null;
  if (field.kind === "boolean") return select([["true", "yes"], ["false", "no"]]);
  if (field.values && operator !== "in") return select(field.values);
  if (operator === "in") return h("input", { placeholder: "one, two, three", autocomplete: "off" });
  if (field.kind === "array") return h("input", { placeholder: '["one", "two"]', autocomplete: "off" });
  if (field.type === "date") return h("input", { type: "date" });
  if (field.type.startsWith("timestamp")) return h("input", { type: "datetime-local", step: 1 });
  return h("input", { inputmode: isNumber(field.type) ? "decimal" : null, autocomplete: "off",
    spellcheck: "false" });
}

/** The value as the API takes it: a moment of this clock becomes one in UTC. */
function valueOf(field, operator, input) {
  if (operator === "empty" || operator === "given") return String(operator === "empty");
  if (field.type === "timestamp with time zone" && input.value && operator !== "in") {
    return new Date(input.value).toISOString();
  }
  return operator === "in" ? input.value.split(",").map(one => one.trim()).filter(Boolean).join(",")
    : input.value;
}

/**
 * Filters, a line each. {node, read: strict => {"role[in]": "a,b"}}; read throws for two alike, and
 * if it is strict for one that is not complete.
 */
export function filters(about, onchange) {
  const lines = h("ul", { class: "lines" });
  const known = [];
  const add = () => {
    const field = select(about.fields.map(one => one.name), { "aria-label": "Field" });
    const operator = h("select", { "aria-label": "Operator" });
    const place = h("span", { class: "row" });
    const one = { read: () => [fieldNamed(), operator.value, input] };
    let input = null;
    const fieldNamed = () => about.fields.find(({ name }) => name === field.value);
    const withField = () => {
      replace(operator, operators(fieldNamed()).map(([value, words]) => h("option", { value }, words)));
      withOperator();
    };
    const withOperator = () => {
      input = control(fieldNamed(), operator.value);
      if (input) {
        input.setAttribute("aria-label", `Value of ${field.value}`);
        input.addEventListener("input", onchange);
        if (fieldNamed().type === "timestamp with time zone") input.title = "by the clock of this computer";
      }
      replace(place, input);
      onchange();
    };
    field.addEventListener("change", withField);
    operator.addEventListener("change", withOperator);
    const line = h("li", {}, field, operator, place, h("button", { type: "button", class: "small",
      "aria-label": "Remove this filter", onclick: () => {
        known.splice(known.indexOf(one), 1);
        line.remove();
        more.focus();
        onchange();
      } }, "Remove"));
    known.push(one);
    lines.append(line);
    withField();
    field.focus();
  };
  const more = h("button", { type: "button", class: "small", onclick: add }, "Add filter");
  const read = strict => {
    const all = {};
    for (const [field, operator, input] of known.map(one => one.read())) {
      const suffix = { eq: "", empty: "[null]", given: "[null]" }[operator] ?? `[${operator}]`;
      const name = `${field.name}${suffix}`;
      if (name in all) throw { title: "Two filters alike", detail: `${field.name} is filtered twice in the same way.` };
      if (input && input.value === "") {
        if (strict) throw { title: "Unfinished filter", detail: `The filter on ${field.name} has no value.` };
        continue;
      }
      all[name] = valueOf(field, operator, input);
    }
    return all;
  };
  return { node: h("fieldset", {}, h("legend", {}, "Filters"),
    h("div", { class: "stack" }, lines, h("div", {}, more))), read };
}

/** Which fields, in which order. {node, read: () => ["id", "email"] or null for all as they are}. */
export function fields(about, onchange) {
  const list = h("ol", { class: "chosen" });
  let names = about.fields.map(one => one.name);
  const off = new Set();
  const move = (name, by) => {
    const at = names.indexOf(name), to = at + by;
    if (to < 0 || to >= names.length) return;
    names = names.toSpliced(at, 1).toSpliced(to, 0, name);
    draw();
    list.querySelector(`[data-move="${CSS.escape(`${name} ${by}`)}"]`)?.focus();
    onchange();
  };
  const arrow = (name, by, words, sign, last) => h("button", { type: "button", class: "small plain",
    dataset: { move: `${name} ${by}` }, "aria-label": `Move ${name} ${words}`, title: `Move ${words}`,
    "aria-disabled": last ? "true" : null, onclick: () => move(name, by) }, sign);
  const draw = () => replace(list, names.map((name, at) => h("li", {},
    check(name, { checked: !off.has(name), onchange: event => {
      if (event.target.checked) off.delete(name);
      else off.add(name);
      onchange();
    } }),
    h("span", { class: "nowrap" }, arrow(name, -1, "earlier", "↑", at === 0),
      arrow(name, 1, "later", "↓", at === names.length - 1)))));
  const all = chosen => () => {
    for (const name of names) if (chosen) off.delete(name); else off.add(name);
    draw();
    onchange();
  };
  draw();
  const read = () => {
    const chosen = names.filter(name => !off.has(name));
    if (!chosen.length) throw { title: "No field", detail: "Choose at least one field." };
    return chosen.join() === about.fields.map(one => one.name).join() ? null : chosen;
  };
  return { node: h("fieldset", {}, h("legend", {}, "Fields, in this order"), h("div", { class: "stack" },
    h("div", { class: "row" }, h("button", { type: "button", class: "small", onclick: all(true) }, "All"),
      h("button", { type: "button", class: "small", onclick: all(false) }, "None")), list)), read };
}

/** By what the rows are ordered. {node, read: () => ["-created_at"] or null}. */
export function order(about, onchange) {
  const options = [["", "as it comes"], ...about.fields.filter(one => one.kind !== "json")
    .flatMap(one => [[one.name, `${one.name}, up`], [`-${one.name}`, `${one.name}, down`]])];
  const first = select(options, { id: uid("order"), onchange: () => {
    second.hidden = !first.value;
    onchange();
  } });
  const second = select([["", "then as it comes"], ...options.slice(1)], { "aria-label": "Then by",
    hidden: true, onchange });
  return {
    node: h("div", { class: "field" }, h("label", { for: first.id }, "Order"), first, second),
    read: () => {
      const chosen = [first.value, first.value && second.value].filter(Boolean);
      return chosen.length ? chosen : null;
    },
  };
}
