// A file on its way: sent from the import page, and on while other pages are looked at.

import { h, notice, problem, replace } from "./ui.js";
import { Problem, upload } from "./api.js";
import { sending } from "./follow.js";

const away = document.getElementById("uploads");
let count = 0;
addEventListener("beforeunload", event => { if (count) event.preventDefault(); });

/**
 * Send a form with its file, seen in `place` until the page is left (`signal`), then in a corner. The
 * job, or null: then a node in its stead says why there is none, or where it is.
 */
export async function sendFile(file, form, place, signal) {
  const own = new AbortController();
  const { node, set } = sending(file.name, () => own.abort());
  const leave = () => away.append(node);
  replace(place, node);
  node.scrollIntoView({ block: "nearest" });
  signal.addEventListener("abort", leave);
  count += 1;
  try {
    const job = await upload("imports", form, { onprogress: set, signal: own.signal });
    if (!signal.aborted) return job;
    told(node, `${file.name} is sent. `, h("a", { href: `#/jobs/${job.job_id}` }, job.dry_run ? "Its dry run" : "Its job"));
  } catch (error) {
    const words = error.name === "AbortError" ? notice("", "The upload was cancelled; nothing of it was kept.")
      : problem(await isThere(file) ? error : new Problem(0, "The file has changed",
        "It is another one than was chosen here: choose it again."));
    if (signal.aborted) told(node, words);
    else replace(place, words);
  } finally {
    count -= 1;
    signal.removeEventListener("abort", leave);
  }
  return null;
}

function told(node, ...words) {
  replace(node, h("div", { role: "status" }, words),
    h("div", { class: "row end" }, h("button", { type: "button", class: "small", onclick: () => node.remove() }, "Close")));
}

/** Whether a file is as it was when it was chosen: browsers give no other. */
async function isThere(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
