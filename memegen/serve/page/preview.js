// Pictures from the server, one at a time: what is being shaped first, then what will be played.

import { previewAddress } from "./api.js";

/**
 * @typedef {{face: number | "all", expression: Record<string, number>, side: number, captions?: any}} Order
 * @typedef {{order: Order, done: (picture: Blob) => void, failed?: (message: string) => void}} Wish
 */

const KEPT_BYTES = 96e6; // of pictures that were painted
const AGAIN = 600; // milliseconds before a lost connection is tried again
const LONGEST_REST = 10_000; // milliseconds between two tries at most
const SEQUENCES = 2 ** 32;

/** @param {Order} order */
export const keyOf = (order) => JSON.stringify(order);

/** Pictures by what was asked for; those unused for longest go first. */
class Kept {
  /** @type {Map<string, Blob>} */
  #pictures = new Map();
  #bytes = 0;

  /** @param {string} key */
  get(key) {
    const picture = this.#pictures.get(key);
    if (picture) {
      this.#pictures.delete(key);
      this.#pictures.set(key, picture);
    }
    return picture;
  }

  /** @param {string} key */
  has = (key) => this.#pictures.has(key);

  /** @param {string} key @param {Blob} picture */
  set(key, picture) {
    this.#pictures.set(key, picture);
    this.#bytes += picture.size;
    for (const [oldest, old] of this.#pictures) {
      if (this.#bytes <= KEPT_BYTES) break;
      this.#pictures.delete(oldest);
      this.#bytes -= old.size;
    }
  }

  clear() {
    this.#pictures.clear();
    this.#bytes = 0;
  }
}

/**
 * The connection to the previews of one photo. At most one message is on its way; what is shaped
 * replaces what was waiting, so that nothing ever queues.
 */
export class Preview {
  kept = new Kept();
  /** Milliseconds from a question to its picture, smoothed. */
  latency = 100;
  /** @type {WebSocket | null} */
  #socket = null;
  #photo = "";
  #sequence = 0;
  /** @type {Wish | null} */
  #live = null;
  /** @type {(Wish & {sequence: number, sent: number}) | null} */
  #asked = null;
  /** Who is asked for work when nothing is shaped. @type {(() => Wish | null)[]} */
  #suppliers = [];
  #again = 0;
  #tries = 0;
  /** Called where the server no longer knows the photo. */
  lost = () => {};

  /** @param {() => Wish | null} supplier of work for quiet moments; the first has precedence */
  supply(supplier) {
    this.#suppliers.push(supplier);
  }

  /** Another photo. @param {string} photo its id */
  open(photo) {
    this.#photo = photo;
    this.#tries = 0;
    this.kept.clear();
    this.#connect();
  }

  /** What is shaped: it replaces what waited. @param {Wish} wish */
  show(wish) {
    const kept = this.kept.get(keyOf(wish.order));
    if (kept) {
      this.#live = null;
      wish.done(kept);
      return;
    }
    this.#live = wish;
    this.pump();
  }

  /** Ask for the next picture, unless one is on its way. */
  pump() {
    if (this.#asked || this.#socket?.readyState !== WebSocket.OPEN) return;
    let wish = this.#live;
    this.#live = null;
    for (const supplier of this.#suppliers) wish ??= supplier();
    if (!wish) return;
    this.#sequence = (this.#sequence + 1) % SEQUENCES;
    this.#asked = { ...wish, sequence: this.#sequence, sent: performance.now() };
    this.#socket.send(JSON.stringify({ seq: this.#sequence, ...wish.order }));
  }

  #connect() {
    clearTimeout(this.#again);
    this.#socket?.close();
    this.#asked = null;
    const socket = new WebSocket(previewAddress(this.#photo));
    let opened = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      opened = true;
      this.pump();
    };
    socket.onmessage = (event) => this.#socket === socket && this.#receive(event.data);
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      if (this.#asked) this.#live ??= this.#asked; // it is asked again
      this.#asked = null;
      const rest = Math.min(LONGEST_REST, AGAIN * 2 ** this.#tries++);
      this.#again = window.setTimeout(() => (opened ? this.#connect() : this.lost()), rest);
    };
    this.#socket = socket;
  }

  /** @param {ArrayBuffer | string} data */
  #receive(data) {
    const asked = this.#asked;
    const message = typeof data === "string" ? JSON.parse(data) : null;
    const sequence = message ? message.seq : new DataView(/** @type {ArrayBuffer} */ (data)).getUint32(0);
    // 0: the server could not even read which message it answers.
    if (!asked || (sequence !== asked.sequence && sequence !== 0)) return;
    this.#asked = null;
    if (message) {
      asked.failed?.(message.error);
    } else {
      const picture = new Blob([/** @type {ArrayBuffer} */ (data).slice(4)], { type: "image/jpeg" });
      this.#tries = 0;
      this.latency += 0.3 * (performance.now() - asked.sent - this.latency);
      this.kept.set(keyOf(asked.order), picture);
      asked.done(picture);
    }
    this.pump();
  }
}
