import { h } from "../ui.js";

export async function page(main, params) {
  main.append(h("h1", {}, "Overview"));
}
