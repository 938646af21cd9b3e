// Asks the server, with the token where it wants one.

const KEY = "darkroom-token";

export class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

export function setToken(token) { sessionStorage.setItem(KEY, token); }

export async function ask(path, body) {
  const headers = { Accept: "application/json" };
  const token = sessionStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/octet-stream";
  let reply;
  try {
    reply = await fetch(path, { method: body ? "POST" : "GET", headers, body });
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  const answer = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Refused(reply.status, answer.error ?? reply.statusText);
  return answer;
}

// The bytes of a picture that came as a data: URL; the page's policy lets nothing be fetched but from the server.
export function blob(url) {
  return new Blob([Uint8Array.from(atob(url.split(",")[1]), letter => letter.charCodeAt(0))], { type: "image/png" });
}

export const to = (model, rest = "") => `/models/${encodeURIComponent(model.name)}${rest}`;

// One call of `work` at a time; of calls that come meanwhile only the last is made, so that a slow answer never piles up.
export function newest(work) {
  let waiting = null, busy = false;
  return async (...given) => {
    waiting = given;
    if (busy) return;
    busy = true;
    try {
      while (waiting) {
        const now = waiting;
        waiting = null;
        await work(...now);
      }
    } finally {
      busy = false;
    }
  };
}
