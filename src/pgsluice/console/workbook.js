// The beginning of an Excel file: the names of its sheets, and the first rows of one of them.

import { chunks } from "./api.js";

const ROWS = 4;
const MOST = 4_000_000;

/** {sheets, header, samples} of a workbook; header is null where it cannot be read here. */
export async function peekWorkbook(file, wanted) {
  const parts = await entries(file);
  const read = (name, enough) => (parts.has(name) ? content(file, parts.get(name), enough) : "");
  const [book, relations] = await Promise.all([read("xl/workbook.xml"), read("xl/_rels/workbook.xml.rels")]);
  const targets = new Map(elements(relations, "Relationship").map(({ given }) => [given.Id, given.Target]));
  const sheets = elements(book, "sheet").map(({ given }) => ({ name: given.name, id: given.id,
    shows: !given.state || given.state === "visible" }));
  const sheet = wanted ? sheets.find(one => one.name === wanted) : sheets.find(one => one.shows) ?? sheets[0];
  const target = targets.get(sheet?.id) ?? "";
  const path = target.startsWith("/") ? target.slice(1) : `xl/${target}`;
  const rows = rowsOf(await read(path, text => count(text, "row") > ROWS)).slice(0, ROWS);
  const most = Math.max(-1, ...rows.flat().map(cell => (cell.shared ? Number(cell.text) : -1)));
  const strings = most < 0 ? []
    : elements(await read("xl/sharedStrings.xml", text => count(text, "si") > most), "si").map(({ inside }) => texts(inside));
  const [header, ...more] = rows.map(row => new Map(row
    .map(({ at, text, shared }) => [at, shared ? strings[Number(text)] ?? "" : text])));
  // columns that the header does not name are no columns
  const columns = [...header?.keys() ?? []].filter(at => header.get(at) !== "").sort((one, other) => one - other);
  return { sheets: sheets.map(one => one.name), header: columns.length ? columns.map(at => header.get(at)) : null,
    samples: columns.map(at => more.map(row => row.get(at) ?? "")) };
}

// --- XML, as far as workbooks need it ----------------------------------------------------------

const count = (text, name) => text.match(new RegExp(`</(?:\\w+:)?${name}>`, "g"))?.length ?? 0;

const NAMED = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const plain = text => text.replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (all, hex, number, name) =>
  (name ? NAMED[name] ?? all : String.fromCodePoint(hex ? parseInt(hex, 16) : Number(number))));

/** The elements of a name: their attributes, without prefixes, and what stands inside. */
function elements(text, name) {
  const found = text.matchAll(new RegExp(
    `<(?:\\w+:)?${name}(\\s[^>]*?)?(?:/>|>([\\s\\S]*?)</(?:\\w+:)?${name}>)`, "g"));
  return [...found].map(([, attributes = "", inside = ""]) => ({ inside,
    given: Object.fromEntries([...attributes.matchAll(/(?:\w+:)?(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)]
      .map(([, key, double, single]) => [key, plain(double ?? single)])) }));
}

const texts = inside => elements(inside.replace(/<(\w+:)?rPh[\s>][\s\S]*?<\/(\w+:)?rPh>/g, ""), "t")
  .map(one => plain(one.inside)).join("");

/** The rows that have cells: [{at, text, shared}]; what may be a date has no text, being a number there. */
function rowsOf(text) {
  return elements(text, "row").map(({ inside }) => {
    let at = -1;
    return elements(inside, "c").map(({ given, inside: cell }) => {
      at = given.r ? column(given.r) : at + 1;
      const value = given.t === "inlineStr" ? texts(cell) : plain(elements(cell, "v")[0]?.inside ?? "");
      const isStyled = (given.t ?? "n") === "n" && (given.s ?? "0") !== "0";
      return { at, text: isStyled ? "" : value, shared: given.t === "s" };
    });
  }).filter(row => row.some(cell => cell.text !== ""));
}

const column = cell => [.../^[A-Z]+/i.exec(cell)?.[0].toUpperCase() ?? ""]
  .reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1;

// --- the package ------------------------------------------------------------------------------

/** Where the parts of a ZIP archive stand. */
async function entries(file) {
  const tail = await view(file, Math.max(0, file.size - 66_000), file.size);
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw new Error("no ZIP archive");
  const start = tail.getUint32(end + 16, true);
  const list = await view(file, start, start + tail.getUint32(end + 12, true));
  const found = new Map();
  for (let at = 0; at + 46 <= list.byteLength && list.getUint32(at, true) === 0x02014b50;) {
    const [name, extra, note] = [28, 30, 32].map(place => list.getUint16(at + place, true));
    found.set(new TextDecoder().decode(new Uint8Array(list.buffer, at + 46, name)), {
      packed: list.getUint16(at + 10, true) === 8, size: list.getUint32(at + 20, true), at: list.getUint32(at + 42, true) });
    at += 46 + name + extra + note;
  }
  return found;
}

/** The text of a part, as far as enough(text) wants it. */
async function content(file, { packed, size, at }, enough = () => false) {
  const head = await view(file, at, at + 30);
  const start = at + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const bytes = file.slice(start, start + size).stream();
  const stream = packed ? bytes.pipeThrough(new DecompressionStream("deflate-raw")) : bytes;
  let text = "";
  for await (const piece of chunks(stream.pipeThrough(new TextDecoderStream()))) {
    text += piece;
    if (enough(text) || text.length > MOST) break;
  }
  return text;
}

const view = async (file, from, to) => new DataView(await file.slice(from, to).arrayBuffer());
