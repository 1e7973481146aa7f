// What the server is asked, and its errors.

/**
 * @typedef {{index: number, box: [number, number, number, number], expression: Record<string, number>}} Face
 * @typedef {{id: string, width: number, height: number, faces: Face[]}} Photo
 * @typedef {{state: string, progress: number, error?: string, bytes?: number, type?: string}} Job
 */

/** An answer that is no success; its message is the server's one line. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * The address of a route, beside the page.
 * @param {string} route
 */
const address = (route) => new URL(route, document.baseURI);

/**
 * @param {string} route
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
async function ask(route, options = {}) {
  let answer;
  try {
    answer = await fetch(address(route), options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer. Is memegen studio still running?");
  }
  if (answer.ok) return answer;
  let message = `${answer.status} ${answer.statusText}`;
  try {
    message = (await answer.json()).error ?? message;
  } catch {
    // Not JSON: the status says what there is to say.
  }
  throw new ApiError(answer.status, message);
}

/** @param {string} route @param {RequestInit} [options] @returns {Promise<any>} */
const json = async (route, options) => (await ask(route, options)).json();

/** @param {string} route @param {unknown} body */
const post = (route, body) =>
  ask(route, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

/** @param {Blob} file @param {string} name */
function form(file, name) {
  const data = new FormData();
  data.append("photo", file, name);
  return { method: "POST", body: data };
}

export const actionUnits = () => json("aus/table");
export const formats = () => json("formats");
export const recipes = () => json("recipes");
/** @param {string} name */
export const recipe = (name) => json(`recipes/${encodeURIComponent(name)}`);

/** @returns {Promise<Photo>} */
export const samplePhoto = () => json("photos/sample");
/** @param {Blob} file @returns {Promise<Photo>} */
export const addPhoto = (file) => json("photos", form(file, "photo"));
/** @param {string} id @param {number} side @returns {Promise<Blob>} */
export const picture = async (id, side) =>
  (await ask(`photos/${id}/picture?side=${side}`)).blob();
/** @param {string} id */
export const forgetPhoto = (id) => ask(`photos/${id}`, { method: "DELETE" });

/** Where previews of a photo come from. @param {string} id */
export function previewAddress(id) {
  const url = address(`photos/${id}/preview`);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** The expressions of a photo or clip. @param {Blob} file @param {string} name */
export const expressionsOf = (file, name) => json("aus", form(file, name));

/** @param {string} text YAML @returns {Promise<{recipe: any, yaml: string}>} */
export const checkRecipe = (text) =>
  json("recipes/check", { method: "POST", headers: { "Content-Type": "text/yaml" }, body: text });
/** @param {any} recipe @returns {Promise<string>} YAML */
export const recipeText = async (recipe) => (await post("recipes/yaml", recipe)).text();

/** @param {string} id of a photo @param {any} order @returns {Promise<string>} id of the job */
export const render = async (id, order) => (await (await post(`photos/${id}/render`, order)).json()).job;
/** @param {string} id @returns {Promise<Job>} */
export const job = (id) => json(`jobs/${id}`);
/** @param {string} id @returns {Promise<Blob>} */
export const result = async (id) => (await ask(`jobs/${id}/result`)).blob();
/** @param {string} id */
export const cancel = (id) => ask(`jobs/${id}`, { method: "DELETE" });
