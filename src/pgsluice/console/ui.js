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

/**
 * The same for what is drawn again and again: the focus stays where it was, what was opened (details
 * with data-name) stays open, and tables stay scrolled.
 */
export function redraw(node, ...children) {
  const active = node.contains(document.activeElement) ? document.activeElement : null;
  const way = active && wayTo(node, active);
  const open = new Set([...node.querySelectorAll("details[open]")].map(one => one.dataset.name));
  const scrolled = new Map([...node.querySelectorAll(".scroll")]
    .map(one => [one.getAttribute("aria-label"), [one.scrollLeft, one.scrollTop]]));
  replace(node, children);
  for (const one of node.querySelectorAll("details[data-name]")) one.open = open.has(one.dataset.name);
  for (const one of node.querySelectorAll(".scroll")) {
    one.scrollTo(...scrolled.get(one.getAttribute("aria-label")) ?? [0, 0]);
  }
  if (active) refocus(active, way.reduce((at, place) => at?.children[place], node));
  return node;
}

/** A button that was disabled while it worked has lost the focus: it gets it back, if nothing else has it. */
export function backTo(button) {
  if (document.activeElement === document.body) button.focus();
}

function wayTo(node, inner) {
  const way = [];
  for (let at = inner; at !== node; at = at.parentElement) way.unshift([...at.parentElement.children].indexOf(at));
  return way;
}

/** Focus what now stands for an element that has gone: by its name, by its place, else the heading. */
function refocus(gone, instead) {
  const name = gone.dataset.focus;
  const found = name ? document.querySelector(`[data-focus="${CSS.escape(name)}"]`)
    : instead?.localName === gone.localName ? instead : null;
  (found ?? document.querySelector("main h1"))?.focus({ preventScroll: true });
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
 * A table that scrolls by itself; on a phone each row is a card. columns: [{head, cell: row => child,
 * num, class, of: row => class, narrow: false to leave it out on narrow screens}].
 * options: caption (read out), empty (what stands there without rows), flat (never as cards).
 */
export function table(columns, rows, { caption, empty = "Nothing here yet.", flat = false } = {}) {
  if (!rows.length) return h("div", { class: "card empty" }, empty);
  const kind = (one, ...more) => [one.num && "num", one.narrow === false && "extra", ...more]
    .filter(Boolean).join(" ") || null;
  return h("div", { class: flat ? "scroll" : "scroll cards", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {},
      h("caption", { class: "sr" }, caption),
      h("thead", {}, h("tr", {}, columns.map(one => h("th", { scope: "col", class: kind(one) }, one.head)))),
      h("tbody", {}, rows.map((row, at) => h("tr", {}, columns.map(one => h("td", {
        class: kind(one, one.class, one.of?.(row)),
        dataset: typeof one.head === "string" ? { head: one.head } : null,
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

const REFUSED = { 400: "Not accepted", 401: "No valid key", 403: "Not allowed", 404: "Not there",
  409: "Not possible now", 410: "No longer there", 413: "Too large", 415: "Not accepted", 422: "Not accepted",
  429: "Too many requests", 500: "The service failed", 503: "The service cannot do it now" };

/** What went wrong, for people; with the request's id, under which the log has more. */
export function problem(error) {
  return notice("bad", h("b", {}, REFUSED[error.status] ?? error.title ?? "Something went wrong"), ": ",
    sentences(error.detail ?? error.message), error.requestId
      ? h("div", { class: "hint" }, "request ", h("code", {}, error.requestId)) : null);
}

/** What the service says in half sentences, as whole ones; a name with signs in it stays as it is. */
export const sentences = text => text?.replace(/([.?!] )([a-z])(?=[a-z]*[ ,:])/g,
  (_, end, first) => end + first.toUpperCase());

// --- dialogs and news -----------------------------------------------------------------------

/**
 * A modal dialog; the promise gives the value of the button that closed it, null for Escape.
 * actions: [{label, value, kind}]; `onsubmit(value)` may throw to keep it open with the problem shown.
 * One that is `firm` is not left by Escape: what it shows is not shown again.
 */
export function dialog({ title, body, actions, wide = false, firm = false, onsubmit }) {
  return new Promise(resolve => {
    const trouble = h("div", {});
    const name = uid("d");
    let busy = false;
    const form = h("form", {
      onsubmit: async event => {
        event.preventDefault();
        // once: what a second click would do has begun
        if (busy) return;
        busy = true;
        const value = event.submitter?.value ?? actions.at(-1).value;
        try {
          const result = await onsubmit?.(value);
          close(result ?? value);
        } catch (error) {
          replace(trouble, problem(error));
        }
        busy = false;
      },
    }, h("h2", { id: name }, title), body, trouble,
    h("div", { class: "row end" }, actions.map(one => one.value === null
      ? h("button", { type: "button", onclick: () => busy || close(null) }, one.label)
      : h("button", { value: one.value, class: one.kind ?? "primary" }, one.label))));
    const box = h("dialog", { class: wide ? "wide" : null, "aria-labelledby": name,
      oncancel: event => {
        event.preventDefault();
        if (!busy && !firm) close(null);
      },
      // browsers close it at a second Escape, whatever was said to the first
      onclose: () => close(null) }, form);
    const before = document.activeElement;
    let open = true;
    const close = value => {
      if (!open) return;
      open = false;
      box.close();
      box.remove();
      if (before?.isConnected) before.focus();
      else if (before) refocus(before);
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

/** A text that may be written from right to left, apart from the words around it. */
export const apart = text => (/[\u0590-\u08ff\ufb1d-\ufefc]/.test(text) ? `\u2068${text}\u2069` : text);

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
