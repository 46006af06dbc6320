// Talks to the server of this page, and to nothing else.
const page = document.documentElement.dataset;

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function answer(response) {
  if (response.ok) return response;
  let message = `The server answered ${response.status}.`;
  try {
    message = (await response.json()).detail ?? message;
  } catch {
    // The answer holds no words.
  }
  throw new ServerError(response.status, message);
}

export async function getJson(url) {
  return (await answer(await fetch(url, { credentials: "same-origin" }))).json();
}

export async function getBytes(url) {
  const response = await fetch(url, { credentials: "same-origin" });
  return (await answer(response)).arrayBuffer();
}

export async function post(url, body, type = "application/json") {
  const response = await fetch(url, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": type, "X-CSRF-Token": page.csrf },
    body,
  });
  return (await answer(response)).json();
}

/**
 * Send until the server answers: a read carries a key and is locked only once.
 * Waits grow and differ, so that readers do not all meet a server that comes back.
 */
export async function postSurely(url, body, { tries = 12, waitMs = 250 } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await post(url, body);
    } catch (error) {
      const isGone = !(error instanceof ServerError) || error.status >= 502;
      if (!isGone || attempt === tries) throw error;
      const pauseMs = waitMs * Math.min(attempt, 8) * (0.5 + Math.random());
      await new Promise((resume) => setTimeout(resume, pauseMs));
    }
  }
}

export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
}
