// The beginning of a file: its format, header and first records, from its first 64 KB.

import { chunks, config } from "./api.js";
import { csvRecords, jsonObjects, sniff } from "./records.js";
import { peekWorkbook } from "./workbook.js";

const PEEK = 64 * 1024;
const TEXTS = ["csv", "ndjson", "json"];

/**
 * {format, named, delimiter, header, samples, sheets, encoding, note}: `named` is false when the name of
 * the file does not tell its format; `encoding` is a guess where the text is not UTF-8; `header` is null
 * when it cannot be read here.
 */
export async function peek(file, { delimiter, encoding, sheet } = {}) {
  const suffixes = file.name.toLowerCase().split(".").slice(1);
  const packed = ["gz", "gzip", "zst"].includes(suffixes.at(-1)) ? suffixes.pop() : null;
  const named = config.files[suffixes.at(-1)];
  if (packed === "zst" || (named && !TEXTS.includes(named))) return unread(file, named, packed, sheet);
  const bytes = await beginning(file, packed);
  const { text, guessed } = decoded(bytes, encoding);
  const format = named ?? (/^\s*[[{]/.test(text) ? "ndjson" : "csv");
  const about = { format, named: Boolean(named), encoding: guessed };
  return { ...about, ...(format === "csv" ? fromCsv(text, delimiter, bytes.length < PEEK)
    : fromJson(text)) };
}

/** What is told of a file whose beginning is no text. */
async function unread(file, named, packed, sheet) {
  const about = { format: named ?? "csv", named: Boolean(named), header: null, samples: [] };
  if (named === "xlsx" && !packed) {
    try {
      const found = await peekWorkbook(file, sheet);
      if (found.header) return { ...about, ...found };
    } catch {
      // the service will say what is wrong with it
    }
  }
  return { ...about, note: `The browser cannot look into this ${packed ? `.${packed}` : named} file; `
    + "the service matches the names by itself." };
}

async function beginning(file, packed) {
  const part = file.slice(0, PEEK);
  if (!packed) return new Uint8Array(await part.arrayBuffer());
  const pieces = [];
  let size = 0;
  try {
    for await (const piece of chunks(part.stream().pipeThrough(new DecompressionStream("gzip")))) {
      pieces.push(piece);
      size += piece.length;
      if (size >= PEEK) break;
    }
  } catch {
    // the packed bytes end where the slice does
  }
  return new Uint8Array(await new Blob(pieces).slice(0, PEEK).arrayBuffer());
}

function decoded(bytes, encoding) {
  const [a, b] = bytes;
  const marked = a === 0xff && b === 0xfe ? "utf-16le" : a === 0xfe && b === 0xff ? "utf-16be" : null;
  const text = new TextDecoder(known(marked ?? encoding)).decode(bytes);
  // the last character may be cut in two
  const strange = text.slice(0, -4).includes("\ufffd");
  if (!strange || marked || encoding) return { text, guessed: null };
  return { text: new TextDecoder("windows-1252").decode(bytes), guessed: "windows-1252" };
}

function known(encoding) {
  try {
    return new TextDecoder(encoding || "utf-8").encoding;
  } catch {
    return "utf-8"; // one that only the service knows
  }
}

function fromCsv(text, wanted, whole) {
  let body = text;
  const sep = /^"?sep=([,;\t|])"?\r?\n/i.exec(body);
  if (sep) body = body.slice(sep[0].length);
  const line = /^\s*[^\r\n]*/.exec(body)[0];
  const delimiter = wanted || sep?.[1] || sniff(line);
  const [header, ...rows] = [...take(csvRecords(body, delimiter, whole), 4)];
  return {
    delimiter, header: header?.map(cell => cell.text) ?? null,
    samples: (header ?? []).map((_, at) => rows.map(row => row[at]?.text ?? "")),
    note: header ? null : "The file is empty, or its header is longer than 64 KB.",
  };
}

function fromJson(text) {
  const samples = new Map();
  for (const one of take(jsonObjects(text), 20)) {
    let record;
    try {
      record = JSON.parse(one);
    } catch {
      continue; // the service will say what is wrong with it
    }
    for (const [name, value] of Object.entries(record)) {
      if (!samples.has(name)) samples.set(name, []);
      samples.get(name).push(typeof value === "string" ? value : JSON.stringify(value));
    }
  }
  return {
    header: samples.size ? [...samples.keys()] : null,
    samples: [...samples.values()].map(values => values.slice(0, 3)),
    note: samples.size ? null : "No whole record was found in the first 64 KB.",
  };
}

function* take(from, count) {
  let left = count;
  for (const one of from) {
    if (left-- <= 0) return;
    yield one;
  }
}
