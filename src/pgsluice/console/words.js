// What the catalog says about a resource, in plain words.

/** What tables can be exported as. */
export const EXPORTS = ["csv", ["xlsx", "xlsx (Excel)"], "ndjson", "json", "parquet"];

const KNOWN = {
  uuid: "id (UUID)", text: "text", boolean: "yes or no", smallint: "whole number",
  integer: "whole number", bigint: "whole number", real: "number", "double precision": "number",
  numeric: "number", date: "date", jsonb: "JSON", json: "JSON", bytea: "bytes",
  "timestamp with time zone": "date and time", "timestamp without time zone": "date and time, no zone",
  "time without time zone": "time of day", "time with time zone": "time of day", interval: "duration",
};

/** A type of Postgres for people who do not know it. */
export function typeWords(type, values) {
  if (values) return `one of ${values.join(", ")}`;
  if (type.endsWith("[]")) return `list of: ${typeWords(type.slice(0, -2))}`;
  const [, name, sizes, rest] = /^([^(]+)(?:\(([^)]+)\))?(.*)$/.exec(type);
  const plain = KNOWN[`${name.trim()}${rest}`] ?? KNOWN[name.trim()];
  if (name === "numeric" && sizes) {
    const [digits, after] = sizes.split(",");
    return after > 0 ? `number of at most ${digits} digits, ${after} of them after the point`
      : `whole number of at most ${digits} digits`;
  }
  if (name === "character varying") return sizes ? `text of at most ${sizes} characters` : "text";
  if (name === "character") return `text of ${sizes ?? 1} characters`;
  return plain ?? type;
}

/** What a new row has where the file says nothing. */
export function defaultWords(expression) {
  if (expression === "gen_random_uuid()") return "a new id";
  if (expression === "now()" || expression === "CURRENT_TIMESTAMP") return "the time of the import";
  if (/^nextval\(/.test(expression)) return "the next number";
  const text = /^'((?:[^']|'')*)'::[\w ".[\]]+$/.exec(expression);
  if (!text) return expression;
  const value = text[1].replaceAll("''", "'");
  if (value === "{}") return expression.endsWith("[]") ? "an empty list" : "an empty object";
  return value || "an empty text";
}

const list = words => (words.length < 2 ? words.join("")
  : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);

/** How a record finds its row. */
export function keyWords(key) {
  const what = list(key.fields?.length ? key.fields : key.expressions);
  const when = key.predicate ? ` where ${key.predicate}` : "";
  return `${what}${key.primary ? " (primary key)" : ""}${when}`;
}

/** Whether a record must bring a value. */
export function needWords(field) {
  if (field.read_only) return "made by the database";
  if (field.identity === "always") return "made by the database";
  if (field.required) return "required";
  return field.nullable ? "may be empty" : "has a default";
}
