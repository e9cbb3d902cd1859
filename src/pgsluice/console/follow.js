// A job at work: live progress, and its end.

import { announce, badge, bytes, duration, h, notice, number, percent, problem, replace, toast } from "./ui.js";
import { events, post } from "./api.js";

const PHASES = {
  fetch: "fetching the file", cast: "checking types and rules", match: "comparing with the table",
  merge: "writing", finish: "finishing", export: "writing the file",
};

/** How far an upload is: a node, and set(sent, total) that moves it. */
export function sending(name, oncancel) {
  const meter = h("progress", { max: 1, value: 0, "aria-label": `Sending ${name}` });
  const words = h("p", { class: "muted" }, "Starting …");
  const started = performance.now();
  let said = -1;
  const node = h("section", { class: "card" },
    h("div", { class: "bar-head" }, h("h2", {}, `Sending ${name}`),
      h("button", { type: "button", onclick: oncancel }, "Cancel")),
    meter, words);
  return {
    node,
    set(sent, total) {
      const seconds = (performance.now() - started) / 1000;
      const rate = sent / Math.max(seconds, 0.001);
      meter.value = total ? sent / total : 0;
      const left = sent < total
        ? `, ${duration(1000 * (total - sent) / rate)} left` : "; the service stores the last records";
      replace(words, `${bytes(sent)} of ${bytes(total)} (${percent(sent / total)}), `
        + `${bytes(rate)}/s${left}`);
      const tenth = Math.floor(10 * sent / total);
      if (tenth !== said) announce(`${tenth * 10} percent sent`);
      said = tenth;
    },
  };
}

/**
 * A card that follows a job until it has ended. The promise `ended` gives the whole job then.
 */
export function follow(job, signal) {
  const meter = h("progress", { max: 100, "aria-label": "Progress of the job" });
  const words = h("p", { class: "muted" });
  const trouble = h("div"), lost = h("div", { role: "status" });
  const state = h("span");
  const started = performance.now();
  const stop = h("button", { type: "button", class: "danger", onclick: async () => {
    stop.disabled = true;
    try {
      await post(`${job.links.self}/cancel`);
      toast("The job is being cancelled.");
    } catch (error) {
      stop.disabled = false;
      replace(trouble, problem(error));
    }
  } }, "Cancel");
  const node = h("section", { class: "card", "aria-label": "Progress" },
    h("div", { class: "bar-head" }, h("h2", {}, job.kind === "import" ? "Importing" : "Exporting",
      " ", state), stop),
    meter, words, lost, trouble);
  const first = job.progress.percent;
  const show = now => {
    const share = now.progress.percent;
    replace(state, badge(now.status));
    if (now.status === "pending") meter.removeAttribute("value");
    else meter.value = share;
    const seconds = (performance.now() - started) / 1000;
    const left = share > first && share < 100 && seconds > 1
      ? (100 - share) * seconds / (share - first) : null;
    replace(words, [
      now.status === "pending" ? "waiting for a worker" : PHASES[now.phase] ?? now.phase ?? now.status,
      now.counts?.received
        ? `${number(now.progress.rows)} of ${number(now.counts.received)} rows`
        : `${number(now.progress.rows)} rows`,
      now.metrics?.rows_per_second ? `${number(now.metrics.rows_per_second)} rows/s` : null,
      `${number(share)} %`,
      left === null ? null : `about ${duration(left * 1000)} left`,
    ].filter(Boolean).join(" · "));
  };
  show(job);
  announce("The job has been accepted.");
  const ended = new Promise((resolve, reject) => {
    events(job.links.events, (name, data) => {
      if (name === "end") {
        announce(`The job has ended: ${data.outcome ?? data.status}.`);
        resolve(data);
      } else show(data);
      replace(lost);
    }, signal, () => lost.childElementCount || replace(lost, notice("warn",
      "The service does not answer. The job does not need this page; it is looked for again and again."))).catch(reject);
  });
  return { node, ended };
}
