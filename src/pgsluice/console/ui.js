// Building blocks of all pages. Data becomes text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("a", {href, class, onclick, style: {…}}, "text", node, [more]). */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same in SVG. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") {
      // by the object model: the policy forbids style attributes
      for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    } else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "value" || name === "checked" || name === "indeterminate") node[name] = value;
    else if (name === "href") node.setAttribute(name, safe(String(value)));
    else node.setAttribute(name, value === true ? "" : value);
  }
  add(node, children);
  if (node.localName === "select" && props && "value" in props) node.value = props.value;
  return node;
}

function add(node, children) {
  for (const child of children.flat(9)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

/** A link may lead only where a page may: no javascript:, no data:. */
function safe(href) {
  const { protocol } = new URL(href, location.href);
  return ["http:", "https:", "blob:", "mailto:"].includes(protocol) ? href : "#/";
}

/** Put other children into a node. */
export function replace(node, ...children) {
  node.replaceChildren();
  add(node, children);
  return node;
}

// --- numbers and times ----------------------------------------------------------------------

const none = "–";
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const lately = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const number = value => (value === null || value === undefined ? none : whole.format(value));

export function bytes(value) {
  if (value === null || value === undefined) return none;
  const names = ["B", "KB", "MB", "GB", "TB"];
  let left = Number(value), at = 0;
  while (left >= 1000 && at < names.length - 1) { left /= 1000; at += 1; }
  return `${at ? tenth.format(left) : whole.format(left)} ${names[at]}`;
}

export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return none;
  const value = share * 100;
  return value > 0 && value < 0.1 ? "<0.1 %" : `${tenth.format(value)} %`;
}

/** Milliseconds in words: 340 ms, 2.1 s, 3 min 20 s, 2 h 5 min. */
export function duration(ms) {
  if (ms === null || ms === undefined) return none;
  if (ms < 1000) return `${whole.format(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${tenth.format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A <time> in words with the exact moment as its title. */
export function time(text, { relative = true } = {}) {
  if (!text) return none;
  const date = new Date(text);
  return h("time", { datetime: text, title: clock.format(date) },
    relative ? ago(date) : clock.format(date));
}

function ago(date) {
  const seconds = (date - Date.now()) / 1000;
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) {
      return Math.abs(seconds) > 6 * 86400
        ? clock.format(date) : lately.format(Math.round(seconds / size), unit);
    }
  }
  return Math.abs(seconds) < 10 ? "just now" : lately.format(Math.round(seconds), "second");
}

/** One of many, in words: plural(3, "row") is "3 rows". */
export const plural = (count, word, many = `${word}s`) =>
  `${number(count)} ${count === 1 ? word : many}`;

// --- pieces ---------------------------------------------------------------------------------

/**
 * A table that scrolls by itself. columns: [{head, cell: row => child, num, class, of: row => class,
 * narrow: false to leave it out on narrow screens}].
 * options: caption (read out; shown if `shown`), empty (what stands there without rows).
 */
export function table(columns, rows, { caption, shown = false, empty = "Nothing here yet.", row: props } = {}) {
  if (!rows.length) return h("div", { class: "card empty" }, empty);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {},
      caption && h("caption", { class: shown ? null : "sr" }, caption),
      h("thead", {}, h("tr", {}, columns.map(one =>
        h("th", { scope: "col", class: [one.num && "num", one.narrow === false && "extra"].filter(Boolean).join(" ") || null }, one.head)))),
      h("tbody", {}, rows.map((row, at) => h("tr", props?.(row, at) ?? {},
        columns.map(one => h("td", {
          class: [one.num && "num", one.narrow === false && "extra", one.class, one.of?.(row)].filter(Boolean).join(" ") || null,
        }, one.cell(row, at))))))));
}

let ids = 0;
/** An id that no other element has. */
export const uid = (prefix = "u") => `${prefix}${ids += 1}`;

/** A labelled control with hint and place for an error: field("Name", input, "hint"). */
export function field(label, control, hint) {
  control.id ||= uid("f");
  const parts = [h("label", { for: control.id }, label), control];
  if (hint) {
    const note = h("span", { class: "hint", id: uid("h") }, hint);
    control.setAttribute("aria-describedby", note.id);
    parts.push(note);
  }
  return h("div", { class: "field" }, parts);
}

/** A select from [value, text] pairs or plain texts. */
export function select(options, props = {}) {
  return h("select", props, options.map(one => {
    const [value, text] = Array.isArray(one) ? one : [one, one];
    return h("option", { value }, text);
  }));
}

/** A checkbox in its label. */
export function check(label, props = {}, hint) {
  const box = h("input", { type: "checkbox", ...props });
  const whole = h("label", { class: "check", title: hint }, box, h("span", {}, label));
  whole.box = box;
  return whole;
}

const KINDS = {
  completed: "good", clean: "good", partial: "warn", failed: "bad", cancelled: "plain",
  receiving: "run", pending: "run", processing: "run",
};
/** The state of a job, or any word in a kind of badge: good, warn, bad, run, plain. */
export function badge(word, kind = KINDS[word] ?? "plain") {
  return h("span", { class: `badge ${kind}` }, word);
}

/** The badge of a job: its outcome once it has completed, else its state. */
export function jobBadge(job) {
  if (job.status === "completed" && job.outcome === "partial") return badge("partial");
  return badge(job.status);
}

/** Shares of a whole as a bar with a legend. parts: [{name, value, color: "c1"…"c6"}]. */
export function bar(parts, label) {
  const shown = parts.filter(part => part.value > 0);
  const total = shown.reduce((sum, part) => sum + part.value, 0);
  const words = shown.map(part => `${part.name} ${number(part.value)}`).join(", ") || "none";
  return h("div", { class: "stack" },
    h("div", { class: "bar", role: "img", "aria-label": `${label}: ${words}` },
      shown.map(part => h("span", {
        class: part.color, style: { width: `${100 * part.value / total}%` },
        title: `${part.name}: ${number(part.value)}`,
      }))),
    h("ul", { class: "legend" }, parts.map(part => h("li", {},
      h("span", { class: `swatch ${part.color}`, "aria-hidden": "true" }),
      h("span", {}, part.name, " ", h("b", {}, number(part.value)))))));
}

/** A list of facts: facts([["File", "a.csv"], …]); null ones are left out. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A sentence that stands out: notice("text", "bad" | "warn" | "good" | ""). */
export function notice(kind, ...children) {
  return h("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null }, children);
}

/** What went wrong, for people; with the request's id, under which the log has more. */
export function problem(error) {
  return notice("bad", h("b", {}, error.title ?? "Something went wrong"), ": ",
    error.detail ?? error.message, error.requestId
      ? h("div", { class: "hint" }, "request ", h("code", {}, error.requestId)) : null);
}

// --- dialogs and news -----------------------------------------------------------------------

/**
 * A modal dialog; the promise gives the value of the button that closed it, null for Escape.
 * actions: [{label, value, kind}]; `onsubmit(value)` may throw to keep it open with the problem shown.
 */
export function dialog({ title, body, actions, wide = false, onsubmit }) {
  return new Promise(resolve => {
    const trouble = h("div", {});
    const name = uid("d");
    const form = h("form", {
      onsubmit: async event => {
        event.preventDefault();
        const value = event.submitter?.value ?? actions.at(-1).value;
        try {
          const result = await onsubmit?.(value);
          close(result ?? value);
        } catch (error) {
          replace(trouble, problem(error));
        }
      },
    }, h("h2", { id: name }, title), body, trouble,
    h("div", { class: "row end" }, actions.map(one => one.value === null
      ? h("button", { type: "button", onclick: () => close(null) }, one.label)
      : h("button", { value: one.value, class: one.kind ?? "primary" }, one.label))));
    const box = h("dialog", { class: wide ? "wide" : null, "aria-labelledby": name,
      oncancel: event => { event.preventDefault(); close(null); } }, form);
    const before = document.activeElement;
    const close = value => {
      box.close();
      box.remove();
      before?.focus?.();
      resolve(value);
    };
    document.body.append(box);
    box.showModal();
  });
}

const cancel = { label: "Cancel", value: null };

/** Ask before something that cannot be undone. */
export async function confirm(title, text, label = "OK", kind = "danger primary") {
  const actions = [cancel, { label, value: "yes", kind }];
  return await dialog({ title, body: h("p", {}, text), actions }) === "yes";
}

/** A short word about what has been done; also read out. */
export function toast(text) {
  const box = h("div", { class: "toast" }, text);
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), 6000);
}

/** Say something to those who listen rather than look. */
export function announce(text) {
  const place = document.getElementById("live");
  if (place.textContent !== text) place.textContent = text;
}

/** Copy a text; true if the browser let us. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
    return true;
  } catch {
    return false;
  }
}
