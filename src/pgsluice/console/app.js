// The frame: navigation, the switch between light and dark, the key, and which page is shown.

import { h, problem, replace, select, uid } from "./ui.js";
import { askKey, config, forgetKey, key, mayAsk } from "./api.js";
import { page as overview } from "./pages/overview.js";
import { page as imports } from "./pages/import.js";
import { page as jobs } from "./pages/jobs.js";
import { page as job } from "./pages/job.js";
import { page as exports } from "./pages/exports.js";
import { page as resources } from "./pages/resources.js";
import { page as resource } from "./pages/resource.js";
import { page as schedules } from "./pages/schedules.js";
import { page as keys } from "./pages/keys.js";

/** Which page an address means; names in it become params. */
const ROUTES = [
  [/^\/$/, overview],
  [/^\/import$/, imports],
  [/^\/jobs$/, jobs],
  [/^\/jobs\/(?<id>[^/]+)$/, job],
  [/^\/exports$/, exports],
  [/^\/resources$/, resources],
  [/^\/resources\/(?<name>[^/]+)$/, resource],
  [/^\/schedules$/, schedules],
  [/^\/keys$/, keys],
];
const NAV = [
  ["/", "Overview"], ["/import", "Import"], ["/exports", "Export"], ["/jobs", "Jobs"],
  ["/resources", "Resources"], ["/schedules", "Schedules"], ["/keys", "API keys"],
];

const main = document.getElementById("main");
let leave = null;

/** Show what the address says. */
async function show() {
  const [path, query = ""] = (location.hash.slice(1) || "/").split("?");
  if (!path.startsWith("/")) return; // an anchor within the page
  mayAsk();
  leave?.();
  const gone = new AbortController();
  let cleanup = null;
  leave = () => { gone.abort(); cleanup?.(); };
  mark(path);
  const place = h("div", { class: "page" }, h("p", { class: "muted spin", "aria-busy": "true" }, "Loading …"));
  replace(main, place);
  const found = ROUTES.map(([pattern, page]) => [pattern.exec(path), page]).find(([hit]) => hit);
  const named = Object.entries(found?.[0].groups ?? {});
  const params = {
    ...Object.fromEntries(named.map(([name, value]) => [name, decodeURIComponent(value)])),
    query: new URLSearchParams(query), signal: gone.signal,
  };
  try {
    const inside = h("div", { class: "page" });
    const after = await (found?.[1] ?? nowhere)(inside, params);
    if (gone.signal.aborted) {
      after?.();
      return;
    }
    cleanup = after;
    place.replaceWith(inside);
    arrived(inside);
  } catch (error) {
    if (gone.signal.aborted || error.name === "AbortError") return;
    replace(place, h("h1", {}, "This page cannot be shown"), problem(error),
      h("div", { class: "row" }, h("button", { onclick: show }, "Try again"),
        h("a", { href: "#/" }, "Overview")));
    arrived(place);
  }
}

/** Those who cannot see that the page has changed are taken to its heading. */
function arrived(inside) {
  const head = inside.querySelector("h1");
  document.title = `${head?.textContent ?? "Console"} · pgsluice`;
  if (head) {
    head.tabIndex = -1;
    head.focus({ preventScroll: true });
  }
  scrollTo(0, 0);
}

async function nowhere(place) {
  place.append(h("h1", {}, "There is no such page"), h("p", {}, h("a", { href: "#/" }, "Overview")));
}

function mark(path) {
  for (const link of document.querySelectorAll("#nav a")) {
    const own = link.getAttribute("href").slice(1);
    const here = own === "/" ? path === "/" : path === own || path.startsWith(`${own}/`);
    if (here) {
      link.setAttribute("aria-current", "page");
      // on a narrow screen the names lie in a row that scrolls
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else link.removeAttribute("aria-current");
  }
}

const THEME = "pgsluice.theme";
function paint(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

function tools() {
  const theme = select([["", "auto"], ["light", "light"], ["dark", "dark"]], {
    id: uid("theme"), value: localStorage.getItem(THEME) ?? "", "aria-label": "Colours",
    onchange: event => {
      localStorage.setItem(THEME, event.target.value);
      paint(event.target.value);
    },
  });
  const access = h("div", { class: "row" });
  const shown = () => replace(access, key()
    ? h("button", { class: "small", onclick: () => { forgetKey(); show(); } }, "Forget key")
    : h("button", { class: "small", onclick: async () => { if (await askKey()) show(); } },
      "Use API key"));
  addEventListener("pgsluice-key", shown);
  shown();
  replace(document.getElementById("tools"), access,
    h("label", { for: theme.id }, h("span", {}, "Colours"), theme),
    h("div", { class: "version" }, `Version ${config.version} · `, h("a", { href: "docs" }, "API")));
}

paint(localStorage.getItem(THEME));
replace(document.getElementById("nav"), h("ul", {}, NAV.map(([path, name]) =>
  h("li", {}, h("a", { href: `#${path}` }, name)))));
tools();
document.querySelector(".skip").addEventListener("click", event => {
  event.preventDefault(); // the address names the page
  main.focus();
});
addEventListener("hashchange", show);
show();
