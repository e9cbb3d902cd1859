// The HTTP API as the pages use it. The key goes into a header, never into an address.

import { dialog, field, h, check } from "./ui.js";

const told = JSON.parse(document.querySelector('meta[name="pgsluice"]').content);
/** {version, api, files}: what this console belongs to, the prefix of its API, formats by suffix. */
export const config = told;

const BASE = new URL(".", location.href.split("#")[0]);
const NAME = "pgsluice.key";

/** A refusal or a failure: status, title, detail, requestId. */
export class Problem extends Error {
  constructor(status, title, detail, more = {}) {
    super(detail);
    Object.assign(this, { status, title, detail }, more);
  }
}

// --- the key --------------------------------------------------------------------------------

/** The key in use, or null. */
export function key() {
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

/** Use this key for as long as the tab lives; beyond that only if it shall be remembered. */
export function setKey(value, remember) {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
  if (value) (remember ? localStorage : sessionStorage).setItem(NAME, value);
  dispatchEvent(new Event("pgsluice-key"));
}

/** Forget the key, and what was typed with it. */
export function forgetKey() {
  sessionStorage.clear();
  localStorage.removeItem(NAME);
  dispatchEvent(new Event("pgsluice-key"));
}

let asking = null, declined = false;
/** From here on a request may ask for a key again, even if the user did not want to give one. */
export const mayAsk = () => { declined = false; };

/** Let the user type a key; true once there is one that the service takes. */
export function askKey(why) {
  asking ??= _ask(why).finally(() => { asking = null; });
  return asking;
}

async function _ask(why) {
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false",
    required: true });
  const remember = check("Remember it in this browser");
  const given = await dialog({
    title: "API key",
    body: h("div", { class: "stack" },
      h("p", {}, why && key() ? why
        : "Whoever runs this service makes them: pgsluice key create NAME --scopes admin"),
      field("Key", input, "It stays in this tab and goes to this service only."),
      remember),
    actions: [{ label: "Cancel", value: null }, { label: "Use key", value: "ok" }],
    onsubmit: async () => {
      const value = input.value.trim();
      const reply = await fetch(url("resources"), { headers: { "X-API-Key": value } });
      if (reply.status === 401) throw await refusal(reply);
      setKey(value, remember.box.checked);
    },
  });
  declined = given === null;
  return !declined;
}

/** Whether a request that was refused for its key is worth another try: what reads asks only once. */
async function keyAfter(used, refused, method) {
  // another request may have brought a good key meanwhile
  return used !== key() || ((!declined || method !== "GET") && askKey(refused.detail));
}

// --- requests -------------------------------------------------------------------------------

/** The address of a path of the API ("jobs?limit=5"), or of a link that a reply gave ("/v1/…"). */
export function url(path) {
  if (path.startsWith("/")) return new URL(path.slice(1), BASE).href;
  return new URL(path.startsWith("http") ? path : `${config.api}/${path}`, BASE).href;
}

/** The address of a path outside the API's prefix: root("health"). */
export const root = path => new URL(path, BASE).href;

/** A path with its query; null and "" are left out: withQuery("jobs", {kind: "import"}). */
export function withQuery(path, values) {
  const query = new URLSearchParams(Object.entries(values)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [name, String(value)]));
  return query.size ? `${path}?${query}` : path;
}

function headers(more = {}) {
  const own = key();
  return { "Accept-Profile": "default", ...more, ...(own ? { "X-API-Key": own } : {}) };
}

/** The raw reply to a request that succeeded. Asks for a key when one is needed. */
export async function request(path, { method = "GET", body, signal, headers: more } = {}) {
  for (;;) {
    const used = key();
    let reply;
    try {
      reply = await fetch(url(path), { method, body, signal, headers: headers(more) });
    } catch (error) {
      throw lost(error);
    }
    if (reply.ok) return reply;
    const problem = await refusal(reply);
    if (reply.status !== 401 || !await keyAfter(used, problem, method)) throw problem;
  }
}

function lost(error) {
  if (error.name === "AbortError") return error;
  return new Problem(0, "No answer", "The service does not answer. Is it running?");
}

async function refusal(reply) {
  const body = await reply.text();
  return problemOf(reply.status, body, reply.headers.get("x-request-id"));
}

function problemOf(status, body, requestId) {
  let told = {};
  try {
    told = JSON.parse(body);
  } catch {
    // what stands between us and the service may answer in its own words
  }
  return new Problem(status, told.title ?? `HTTP ${status}`,
    told.detail ?? "The service answered in a way that the console does not understand.",
    { requestId });
}

async function json(path, options) {
  const reply = await request(path, options);
  return reply.status === 204 ? null : reply.json();
}

const sent = (method, path, body, { headers: more, ...options } = {}) => json(path, {
  ...options, method,
  body: body === undefined ? undefined : JSON.stringify(body),
  headers: { ...more, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
});

export const get = (path, options) => json(path, options);
export const post = (path, body, options) => sent("POST", path, body, options);
export const put = (path, body, options) => sent("PUT", path, body, options);
export const del = (path, options) => json(path, { ...options, method: "DELETE" });

// --- streams --------------------------------------------------------------------------------

const pause = (ms, signal) => new Promise(resolve => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); });
});

/**
 * Follow server-sent events: onevent(name, data). Read by fetch, so that the key is a header. Returns
 * after the event `end`; comes back by itself when the line breaks, which onlost(problem) is told.
 */
export async function events(path, onevent, signal, onlost) {
  let last = null;
  while (!signal?.aborted) {
    try {
      const more = last ? { "Last-Event-ID": last } : {};
      const reply = await request(path, { signal, headers: more });
      if (reply.status === 204) return;
      for await (const event of parsed(reply.body)) {
        last = event.id ?? last;
        if (event.data) onevent(event.name, JSON.parse(event.data));
        if (event.name === "end") return;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (error.status >= 400 && error.status < 500) throw error;
      onlost?.(error);
    }
    await pause(2000, signal);
  }
}

async function* parsed(body) {
  let text = "";
  for await (const chunk of chunks(body.pipeThrough(new TextDecoderStream()))) {
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = { name: "message", data: "", id: null };
      for (const line of block.split("\n")) {
        const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
        if (name === "event") event.name = value;
        else if (name === "data") event.data += value;
        else if (name === "id") event.id = value;
      }
      yield event;
    }
  }
}

/** The chunks of a stream; leaving the loop cancels it. (Not all browsers iterate over streams.) */
export async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * Post a form with a file: the browser reads it from disk as it sends, no part of it passes through
 * here. onprogress(sent, total).
 */
export async function upload(path, form, options = {}) {
  for (;;) {
    const used = key();
    try {
      return await send(path, form, options);
    } catch (error) {
      if (error.status !== 401 || !await keyAfter(used, error, "POST")) throw error;
    }
  }
}

function send(path, form, { onprogress, signal }) {
  return new Promise((resolve, reject) => {
    const way = new XMLHttpRequest();
    let whole = false;
    way.open("POST", url(path));
    for (const [name, value] of Object.entries(headers())) way.setRequestHeader(name, value);
    way.upload.onprogress = event => onprogress?.(event.loaded, event.total);
    way.upload.onload = () => { whole = true; };
    way.onload = () => {
      if (way.status < 300) resolve(JSON.parse(way.responseText));
      else reject(problemOf(way.status, way.responseText, way.getResponseHeader("x-request-id")));
    };
    way.onerror = () => reject(new Problem(0, "The upload broke off", whole
      ? "The file was sent, but the service did not answer. Look at the list of jobs before you send it again."
      : "The connection was lost before the file was sent. Nothing of it was kept: send it again."));
    way.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal?.addEventListener("abort", () => way.abort());
    way.send(form);
  });
}

/**
 * Save what a path gives as a file. Where the browser can, it streams to disk; else the file is put
 * together in memory first. onprogress(bytes).
 */
export async function download(path, name, { onprogress, signal } = {}) {
  if (!key()) {
    save(url(path), name);
    return;
  }
  const place = await whereTo(name);
  const reply = await request(path, { signal });
  let count = 0;
  const counting = new TransformStream({
    transform(chunk, controller) {
      count += chunk.byteLength;
      onprogress?.(count);
      controller.enqueue(chunk);
    },
  });
  const body = reply.body.pipeThrough(counting);
  if (place) {
    await body.pipeTo(await place.createWritable());
    return;
  }
  const blob = URL.createObjectURL(await new Response(body).blob());
  save(blob, name);
  setTimeout(() => URL.revokeObjectURL(blob), 60_000);
}

async function whereTo(name) {
  if (!window.showSaveFilePicker || navigator.webdriver) return null;
  return showSaveFilePicker({ suggestedName: name });
}

function save(href, name) {
  const link = h("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}
