// What several pages show of jobs.

import { apart, h, problem, replace } from "./ui.js";

/** Where the page of a job is. */
export const jobLink = job => `#/jobs/${job.job_id}`;

/** A job in a few words: "users.csv into users", "export of users". */
export function jobName(job) {
  if (job.kind === "export") return `export of ${(job.resources ?? [job.resource]).join(", ")}`;
  return job.file_name ? `${apart(job.file_name)} into ${job.resource}` : `import into ${job.resource}`;
}

/** The progress of a job as a bar. */
export function progress(job) {
  return h("progress", { max: 100, value: job.progress.percent,
    "aria-label": `Progress of ${jobName(job)}` });
}

/** Whether a job has still to end. */
export const isRunning = job => job.status === "pending" || job.status === "processing";

/**
 * Do something again and again while the page is looked at; wait() gives the milliseconds between.
 * What goes wrong is shown in `trouble` until it works again. {now, stop}.
 */
export function repeat(work, wait, trouble) {
  let timer = null, stopped = false, busy = false, again = false, said = null;
  const now = async () => {
    clearTimeout(timer);
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      if (!document.hidden) await work();
      said = null;
      replace(trouble);
    } catch (error) {
      // said once, not as often as it is tried
      if (!stopped && said !== error.detail) replace(trouble, problem(error));
      said = error.detail;
    }
    busy = false;
    if (stopped) return;
    if (again) {
      again = false;
      now();
    } else timer = setTimeout(now, wait());
  };
  const seen = () => { if (!document.hidden) now(); };
  document.addEventListener("visibilitychange", seen);
  timer = setTimeout(now, wait());
  return {
    now,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
