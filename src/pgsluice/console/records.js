// Records of CSV and JSON files as texts: nothing is rounded or respelt that nobody has edited.

/** The cells of CSV records: yields [{text, quoted}, …]; `final` is false while more may come. */
export function* csvRecords(text, delimiter, final = true) {
  let at = 0;
  while (at < text.length) {
    const record = [];
    let ended = false;
    while (!ended) {
      const cell = csvCell(text, at, delimiter);
      if (!cell || (cell.end === text.length && !final)) return;
      record.push({ text: cell.text, quoted: cell.quoted });
      at = cell.end + 1;
      ended = text[cell.end] !== delimiter;
      if (ended && text[cell.end] === "\r" && text[at] === "\n") at += 1;
    }
    // a blank line is no record
    if (record.length > 1 || record[0].text || record[0].quoted) yield record;
  }
}

function csvCell(text, start, delimiter) {
  if (text[start] !== '"') {
    let end = start;
    while (end < text.length && text[end] !== delimiter && text[end] !== "\n" && text[end] !== "\r") {
      end += 1;
    }
    return { text: text.slice(start, end), quoted: false, end };
  }
  let end = start + 1;
  for (;;) {
    end = text.indexOf('"', end);
    if (end < 0) return null;
    if (text[end + 1] !== '"') break;
    end += 2;
  }
  return { text: text.slice(start + 1, end).replaceAll('""', '"'), quoted: true, end: end + 1 };
}

/** A record as a line of CSV; a cell that is null is written as the null marker. */
export function csvLine(cells, delimiter, marker = "") {
  return cells.map(cell => {
    if (cell === null) return marker;
    const plain = cell !== marker && cell !== "" && !/["\r\n]|^\s|\s$/.test(cell)
      && !cell.includes(delimiter) && cell !== "\\.";
    return plain ? cell : `"${cell.replaceAll('"', '""')}"`;
  }).join(delimiter);
}

/** Which of , ; tab | a header has most of, outside quotes: as the service guesses. */
export function sniff(line) {
  const bare = line.replace(/"[^"]*"/g, "");
  const count = mark => bare.split(mark).length;
  return [",", ";", "\t", "|"].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
}

// --- JSON -----------------------------------------------------------------------------------

/** Where the JSON value that starts at `at` ends; null when the text is cut off within it. */
function valueEnd(text, at) {
  let depth = 0;
  for (let i = at; i < text.length; i += 1) {
    const sign = text[i];
    if (sign === '"') {
      i = stringEnd(text, i);
      if (i === null) return null;
      if (!depth) return i + 1;
    } else if (sign === "{" || sign === "[") depth += 1;
    else if (sign === "}" || sign === "]") {
      if (!depth) return i;
      depth -= 1;
      if (!depth) return i + 1;
    } else if (!depth && (sign === "," || /\s/.test(sign))) return i;
  }
  return null;
}

function stringEnd(text, at) {
  for (let i = at + 1; i < text.length; i += 1) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === '"') return i;
  }
  return null;
}

/** The raw texts of the objects in an array or in a sequence of lines. */
export function* jsonObjects(text) {
  let at = 0;
  for (;;) {
    at = text.indexOf("{", at);
    const end = at < 0 ? null : valueEnd(text, at);
    if (end === null) return;
    yield text.slice(at, end);
    at = end;
  }
}

/** The members of an object's text as [name, raw text of the value], in their order. */
export function jsonMembers(text) {
  const found = [];
  let at = text.indexOf("{") + 1;
  for (;;) {
    at = text.indexOf('"', at);
    if (at < 0) return found;
    const nameEnd = stringEnd(text, at);
    if (nameEnd === null) return found;
    const name = JSON.parse(text.slice(at, nameEnd + 1));
    let start = text.indexOf(":", nameEnd) + 1;
    while (/\s/.test(text[start])) start += 1;
    const end = valueEnd(text, start);
    if (end === null) return found;
    found.push([name, text.slice(start, end)]);
    at = end;
  }
}
