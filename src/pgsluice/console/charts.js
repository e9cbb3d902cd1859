// Charts as SVG, each with its numbers as a table for those who cannot or do not want to see it.

import { h, number, s, table } from "./ui.js";

const WIDTH = 1000, HEIGHT = 160;

/** The next round number that is not below value: 1, 2 or 5 times a power of ten. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map(step => step * power).find(step => step >= value);
}

/**
 * Stacked columns. places: [{label, minor, title, …values}], parts: [{name, key, color}]; `label`
 * stands below the axis, not on narrow screens if it is minor; `title` names the place in the table.
 */
export function columns(places, parts, { title, unit }) {
  const sums = places.map(place => parts.reduce((sum, part) => sum + place[part.key], 0));
  const top = roundUp(Math.max(...sums, 1));
  const step = WIDTH / places.length;
  const drawn = places.map((place, at) => {
    let y = HEIGHT;
    const words = parts.map(part => `${part.name} ${number(place[part.key])}`).join(", ");
    return s("g", {}, s("title", {}, `${place.title}: ${words}`),
      s("rect", { class: "hit", x: at * step, y: 0, width: step, height: HEIGHT }),
      parts.filter(part => place[part.key] > 0).map(part => {
        // what is there at all can be seen
        const height = Math.max(HEIGHT * place[part.key] / top, 2);
        y = Math.max(y - height, 0);
        return s("rect", { class: part.color, x: at * step + step * 0.12, y, width: step * 0.76, height });
      }));
  });
  const lines = [0, 0.5, 1].map(share => s("line", { x1: 0, x2: WIDTH, y1: share * HEIGHT,
    y2: share * HEIGHT, class: "line" }));
  const all = sums.reduce((sum, value) => sum + value, 0);
  return h("figure", { class: "chart" },
    h("div", { class: "plot" },
      h("div", { class: "axis", "aria-hidden": "true" }, [top, top / 2, 0].map(value =>
        h("span", {}, value % 1 ? "" : number(value)))),
      h("div", { class: "drawing" },
        s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
          "aria-label": `${title}: ${number(all)} ${unit} in all; the table below has each number` },
        lines, drawn),
        h("div", { class: "ticks", "aria-hidden": "true" }, places.map(place =>
          h("span", {}, place.label && h("span", { class: place.minor ? "minor" : null }, place.label)))))),
    legend(parts),
    h("details", {}, h("summary", {}, "As a table"),
      table([{ head: "Time", cell: place => place.title, class: "nowrap" },
        ...parts.map(part => ({ head: part.name, num: true, cell: place => number(place[part.key]) }))],
      places.filter((_, at) => sums[at] > 0).reverse(),
      { caption: title, flat: true, empty: "Nothing in this time." })));
}

function legend(parts) {
  return h("ul", { class: "legend" }, parts.map(part => h("li", {},
    h("span", { class: `swatch ${part.color}`, "aria-hidden": "true" }), part.name)));
}

/** One line of a chart of bars: a length from 0 to 1. */
export function line(share, color) {
  return s("svg", { class: "bar-line", viewBox: "0 0 100 10", preserveAspectRatio: "none",
    "aria-hidden": "true" },
  s("rect", { class: "track", width: 100, height: 10 }),
  s("rect", { class: color, width: share > 0 ? Math.max(100 * share, 0.7) : 0, height: 10 }));
}
