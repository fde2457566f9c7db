// Requests to the host, with the reader's token in the one header it belongs in. Errors are the host's own problem documents.

const KEY = "fastprobe.token";
const PATIENCE_MS = 20_000;
const DOING_MS = 45_000; // as the command line has it: what is done to chaos is answered once faults are in force, or undone

/** What the host refused, in its words; status 0 when it could not be reached. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = problem.code ?? "";
    this.hint = problem.hint ?? "";
  }
}

export class Api {
  constructor() {
    this.prefix = document.querySelector("meta[name=fastprobe-prefix]").content;
    this.skew = 0; // the host's clock minus ours, in ms
    this.roundTrip = null;
    this.onSignedOut = () => {};
    this.token = sessionStorage.getItem(KEY);
  }

  /** Kept for this tab alone, and gone with it. */
  keep(token) {
    this.token = token;
    if (token === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  }

  get headers() {
    return this.token === null ? {} : { authorization: `Bearer ${this.token}` };
  }

  /** The host's time, as far as we know it. */
  now() {
    return Date.now() + this.skew;
  }

  get(path) {
    return this.ask("GET", path);
  }

  post(path, body) {
    return this.ask("POST", path, body);
  }

  put(path, body, version) {
    return this.ask("PUT", path, body, { "if-match": `"${version}"` });
  }

  /** The envelope. Refused for anything but success. */
  async ask(method, path, body, headers = {}) {
    const began = performance.now();
    const response = await this.reach(`${this.prefix}${path}`, {
      method,
      headers: { accept: "application/json", ...this.headers, ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(method === "POST" && path.startsWith("/chaos") ? DOING_MS : PATIENCE_MS),
    });
    const answer = await response.json().catch((error) => {
      if (response.ok) throw unreached(error); // half an answer is none: taken as empty, it would tell of nothing
      return {};
    });
    this.refuse(response, answer);
    this.roundTrip = performance.now() - began;
    if (answer.generatedAt && this.roundTrip < 1000) this.skew = Date.parse(answer.generatedAt) - Date.now();
    return answer;
  }

  refuse(response, problem) {
    if (response.ok) return;
    const refused = new Refused(response.status, problem);
    if (response.status === 401) this.onSignedOut(refused);
    throw refused;
  }

  async reach(url, options) {
    try {
      return await fetch(url, { cache: "no-store", redirect: "error", ...options });
    } catch (error) {
      if (options.signal?.aborted && error.name === "AbortError") throw error;
      throw unreached(error);
    }
  }
}

function unreached(error) {
  const slow = error.name === "TimeoutError";
  return new Refused(0, {
    detail: slow ? "the host did not answer in time" : "the host cannot be reached",
    hint: "it is asked again; look whether it runs: fastprobe status",
  });
}
