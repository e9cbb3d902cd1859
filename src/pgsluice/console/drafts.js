// What was typed into rejects and not sent yet: kept in this tab, so that no reload and no way back loses it.

const name = job => `pgsluice.mend.${job.job_id}`;

/** Whether something was typed into the rejects of a job, and not sent. */
export const hasDraft = job => sessionStorage.getItem(name(job)) !== null;

/** Put back into rows what was typed into them before. */
export function restore(job, rows) {
  const typed = new Map(JSON.parse(sessionStorage.getItem(name(job)) ?? "[]"));
  for (const row of rows) {
    const { raw, cells = {} } = typed.get(row.row) ?? {};
    if (raw !== undefined) row.raw = raw;
    for (const [at, text] of Object.entries(cells)) if (row.cells[at]) row.cells[at].text = text;
  }
}

/** Keep what differs from the file. A tab that has no room left goes on without. */
export function keep(job, rows) {
  const typed = rows.map(row => [row.row, row.raw === null
    ? { cells: Object.fromEntries(row.cells.map((cell, at) => [at, cell])
      .filter(([, cell]) => cell.text !== cell.was).map(([at, cell]) => [at, cell.text])) }
    : { raw: row.raw }]);
  try {
    if (typed.length) sessionStorage.setItem(name(job), JSON.stringify(typed));
    else forget(job);
  } catch {
    forget(job);
  }
}

export function forget(job) {
  sessionStorage.removeItem(name(job));
}
