// Values for what a file does not have: a line for each field.

import { h, replace, select } from "./ui.js";

/** {node, fit(fields), value: () => {"role": "reader"} or null}. */
export function defaultsForm() {
  const lines = h("ul", { class: "lines" });
  const more = h("button", { type: "button", class: "small", disabled: true, onclick: () => add() }, "Add a value");
  const hint = h("span", { class: "hint" }, "for new rows whose record has no such field or leaves it empty");
  let fields = [], known = [];

  function add() {
    const field = select(fields.map(one => one.name), { "aria-label": "Field without a value", onchange: () => show() });
    const place = h("span", { class: "row" });
    const one = { field, input: null };
    const line = h("li", {}, field, " is ", place, h("button", { type: "button", class: "small",
      "aria-label": "Remove this value", onclick: () => {
        known = known.filter(other => other !== one);
        line.remove();
        more.focus();
      } }, "Remove"));
    const show = () => {
      const about = fields.find(({ name }) => name === field.value);
      one.input = about.kind === "boolean" ? select([["true", "yes"], ["false", "no"]])
        : about.values ? select(about.values) : h("input", { autocomplete: "off", spellcheck: "false" });
      one.input.setAttribute("aria-label", `Value where ${field.value} is missing`);
      replace(place, one.input);
    };
    known.push(one);
    lines.append(line);
    show();
    field.focus();
  }

  return {
    node: h("fieldset", {}, h("legend", {}, "Where the file has no value"),
      h("div", { class: "stack" }, lines, h("div", { class: "row" }, more, hint))),
    /** The fields of the resource that is chosen: lines of another one go. */
    fit(now) {
      if (now.map(one => one.name).join() === fields.map(one => one.name).join()) return;
      fields = now;
      known = [];
      replace(lines);
      more.disabled = !fields.length;
    },
    value: () => (known.length
      ? Object.fromEntries(known.map(({ field, input }) => [field.value, input.value])) : null),
  };
}
