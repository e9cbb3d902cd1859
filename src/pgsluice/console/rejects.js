// Rejected records as rows of cells that can be edited, and back as a file.

import { chunks, post, request } from "./api.js";
import { csvLine, csvRecords, jsonMembers } from "./records.js";

const OWN = ["_row", "_errors", "_raw"];

/**
 * The first rejects of a job: {names, rows, more}. A row is {row, errors, raw, cells}; `raw` is the text
 * of a record that could not be read. A cell is {text, was, marks}; text is null where there is none.
 */
export async function readRejects(job, most) {
  const reply = await request(isTable(job) ? `${job.links.rejects}?format=csv` : job.links.rejects);
  const read = isTable(job) ? csvReader(job, most) : jsonReader(most);
  let text = "";
  const found = { names: [], rows: [], more: false };
  for await (const chunk of chunks(reply.body.pipeThrough(new TextDecoderStream()))) {
    text += chunk;
    // what is read again and again must not grow: some hundred rows are all that is wanted
    if (read(text, false, found)) break;
    if (text.length > 32_000_000) break;
  }
  read(text, true, found);
  found.more = job.counts.rejected > found.rows.length;
  await mark(job, found);
  return found;
}

/** Whether the records of a job have cells: those of a workbook or a Parquet file are mended as CSV. */
export const isTable = job => ["csv", "xlsx", "parquet"].includes(job.format);

function csvReader(job, most) {
  const { delimiter = ",", null: marker = "" } = job.options;
  let tried = 0;
  return (text, final, found) => {
    // a look costs as much as the text is long: so only when it has doubled
    if (!final && text.length < tried * 2) return false;
    tried = text.length;
    const [header, ...records] = take(csvRecords(text, delimiter, final), most + 1);
    if (!header || (records.length < most && !final)) return false;
    const all = header.map(cell => cell.text);
    const at = name => all.indexOf(name);
    found.names = all.filter(name => !OWN.includes(name));
    found.rows = records.map(record => {
      const value = ({ text: cell, quoted }) => (!quoted && cell === marker ? null : cell);
      return {
        row: Number(record[at("_row")].text),
        errors: JSON.parse(record[at("_errors")].text),
        raw: at("_raw") < 0 ? null : value(record[at("_raw")]),
        cells: record.filter((_, place) => !OWN.includes(all[place])).map(one => cellOf(value(one))),
      };
    });
    return true;
  };
}

function jsonReader(most) {
  let tried = 0;
  return (text, final, found) => {
    if (!final && text.length < tried * 2) return false;
    tried = text.length;
    const lines = text.split("\n").map(line => line.replace(/^[[,]|\]$/g, "")).filter(line => line.startsWith("{"));
    if (!final) lines.pop();
    if (lines.length < most && !final) return false;
    const records = lines.slice(0, most).map(line => new Map(jsonMembers(line)));
    const names = new Set(records.flatMap(record => [...record.keys()]));
    OWN.forEach(name => names.delete(name));
    found.names = [...names];
    found.rows = records.map(record => ({
      row: JSON.parse(record.get("_row")),
      errors: JSON.parse(record.get("_errors")),
      raw: record.has("_raw") ? JSON.parse(record.get("_raw")) : null,
      cells: found.names.map(name => ({ ...cellOf(plain(record.get(name))), source: record.get(name) })),
    }));
    return true;
  };
}

function take(records, count) {
  const found = [];
  for (const one of records) {
    found.push(one);
    if (found.length >= count) break;
  }
  return found;
}

const cellOf = text => ({ text, was: text, marks: [] });

/** A JSON value as it is edited: a string without its quotes, anything else as it is spelt. */
function plain(source) {
  if (source === undefined || source === "null") return null;
  return source.startsWith('"') ? JSON.parse(source) : source;
}

/** Put each error to the cell that it is about; what is about none stays with the row. */
async function mark(job, found) {
  const asked = { header: found.names.slice(0, 1600), mapping: job.options.mapping ?? null };
  const { columns } = await post(`resources/${encodeURIComponent(job.resource)}/header`, asked);
  for (const row of found.rows) {
    row.rest = [];
    for (const error of row.errors) {
      const field = error.field?.split(/[.[]/)[0];
      const at = row.raw === null ? columns.findIndex(one => one.field && one.field === field) : -1;
      (at < 0 ? row.rest : row.cells[at].marks).push(error);
    }
  }
}

/** Whether anything of a row was edited. */
export const isEdited = row => (row.raw === null
  ? row.cells.some(cell => cell.text !== cell.was) : row.rawWas !== undefined && row.raw !== row.rawWas);

/** Rows as a file for a new import: {text, name}. */
export function asFile(job, names, rows) {
  const stem = (job.file_name ?? job.resource).split(".")[0];
  if (isTable(job)) {
    const { delimiter = ",", null: marker = "" } = job.options;
    const lines = rows.map(row => row.raw ?? csvLine(row.cells.map(cell => cell.text), delimiter, marker));
    return { name: `${stem}.mended.csv`, text: `${[csvLine(names, delimiter, "\n"), ...lines].join("\n")}\n` };
  }
  const lines = rows.map(row => row.raw ?? `{${row.cells.map((cell, at) => [names[at], sourceOf(cell)])
    .filter(([, source]) => source !== undefined)
    .map(([name, source]) => `${JSON.stringify(name)}:${source}`).join(",")}}`);
  return { name: `${stem}.mended.ndjson`, text: `${lines.join("\n")}\n` };
}

/** The JSON of a cell: as it came unless it was edited; what was no string may stay none. */
function sourceOf(cell) {
  if (cell.text === cell.was) return cell.source;
  if (cell.text === null) return "null";
  if (cell.source !== undefined && !cell.source.startsWith('"')) {
    try {
      JSON.parse(cell.text);
      return cell.text;
    } catch {
      // then it is a text
    }
  }
  return JSON.stringify(cell.text);
}
