// Files that leave the page.

import { make } from "./dom.js";

const LINGER = 60_000; // milliseconds that a browser may take to begin

/**
 * Have the browser save a file.
 * @param {Blob} content
 * @param {string} name
 */
export function save(content, name) {
  const address = URL.createObjectURL(content);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), LINGER);
}
