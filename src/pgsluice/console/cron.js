// Cron expressions in words; the service itself says when they tick.

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const SHORT = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const NAMED = { "@hourly": "every hour", "@daily": "every day at midnight", "@midnight": "every day at midnight",
  "@weekly": "every Sunday at midnight", "@monthly": "on the 1st of each month at midnight",
  "@yearly": "on the 1st of January at midnight", "@annually": "on the 1st of January at midnight" };

const isNumber = text => /^\d{1,2}$/.test(text);
const two = text => text.padStart(2, "0");

function dayWords(text) {
  const number = one => (isNumber(one) ? Number(one) % 7 : SHORT.indexOf(one.toLowerCase()));
  const range = /^(\w+)-(\w+)$/.exec(text);
  if (range && number(range[1]) === 1 && number(range[2]) === 5) return "Monday to Friday";
  if (range) {
    const [from, to] = [DAYS[number(range[1])], DAYS[number(range[2])]];
    return from && to ? `${from} to ${to}` : null;
  }
  const names = text.split(",").map(one => DAYS[number(one)]);
  return names.every(Boolean) ? names.join(", ") : null;
}

function nth(text) {
  const number = Number(text);
  const ending = number > 3 && number < 21 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[number % 10] ?? "th";
  return `${number}${ending}`;
}

/** A common expression in words; "" for one that has no short ones. */
export function cronWords(cron) {
  const text = cron.trim().toLowerCase();
  if (NAMED[text]) return NAMED[text];
  const every = /^(\d+) seconds?$/.exec(text);
  if (every) return `every ${every[1]} seconds`;
  const [minute, hour, day, month, weekday, ...more] = text.split(/\s+/);
  if (weekday === undefined || more.length || month !== "*") return "";
  const days = day === "*" && weekday === "*" ? "every day"
    : day === "*" ? dayWords(weekday)
      : weekday === "*" && isNumber(day) ? `on the ${nth(day)} of each month` : null;
  if (!days) return "";
  const often = days === "every day" ? "" : `, ${days}`;
  if (hour === "*" && minute === "*") return `every minute${often}`;
  if (hour === "*" && /^\*\/\d+$/.test(minute)) return `every ${minute.slice(2)} minutes${often}`;
  if (hour === "*" && isNumber(minute)) return `every hour at minute ${minute}${often}`;
  if (isNumber(hour) && isNumber(minute)) return `${days} at ${two(hour)}:${two(minute)}`;
  return "";
}

/** What the helper offers: [words, expression]; hour, minute and weekday are put in. */
export const PATTERNS = [
  ["day", "every day at …", ({ hour, minute }) => `${minute} ${hour} * * *`],
  ["work", "Monday to Friday at …", ({ hour, minute }) => `${minute} ${hour} * * mon-fri`],
  ["week", "every Monday at …", ({ hour, minute }) => `${minute} ${hour} * * mon`],
  ["month", "on the 1st of each month at …", ({ hour, minute }) => `${minute} ${hour} 1 * *`],
  ["hour", "every hour", ({ minute }) => `${minute} * * * *`],
  ["quarter", "every 15 minutes", () => "*/15 * * * *"],
];
