// The host's events, by fetch: an EventSource could not carry the token. Resumed where it broke off; never silently late.

export const SILENCE_MS = 40_000; // the host says something every 15 s, if only that it lives
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** Calls back: event(type, data) for each, status() when that has changed. */
export class Stream {
  constructor(api, { event, status }) {
    this.api = api;
    this.event = event;
    this.changed = status;
    this.status = { live: false, why: "connecting", heardAt: null, retryAt: null };
    this.lastId = null;
    this.failures = 0;
    this.received = 0;
    this.stopped = false;
    this.wake = () => {};
  }

  stop() {
    this.stopped = true;
    this.abort?.abort();
    this.wake();
  }

  /** Try again now. */
  hurry() {
    this.wake();
  }

  async run() {
    while (!this.stopped) {
      let why = "the connection ended";
      try {
        await this.follow();
      } catch (error) {
        why = error.status === 0 || error.name === "AbortError" ? "no connection to the host" : error.message;
        if (error.status === 401) return;
      }
      if (this.stopped) return;
      await this.pause(why);
    }
  }

  async pause(why) {
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.failures++);
    const wait = longest * (0.5 + Math.random() / 2); // a hundred pages must not come back in one instant
    this.tell({ live: false, why, retryAt: Date.now() + wait });
    await new Promise((done) => {
      const timer = setTimeout(done, wait);
      this.wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  async follow() {
    this.abort = new AbortController();
    const headers = { accept: "text/event-stream", ...this.api.headers };
    if (this.lastId !== null) headers["last-event-id"] = this.lastId;
    let watch = this.watch();
    try {
      const response = await this.api.reach(`${this.api.prefix}/events`, { headers, signal: this.abort.signal });
      if (!response.ok) this.api.refuse(response, await response.json().catch(() => ({})));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(watch);
        watch = this.watch();
        this.failures = 0;
        this.tell({ live: true, why: "", heardAt: Date.now(), retryAt: null });
        text = this.take(text + value);
      }
    } finally {
      clearTimeout(watch);
    }
  }

  watch() {
    return setTimeout(() => this.abort.abort(), SILENCE_MS);
  }

  /** Tell of every whole event in the text; the rest. */
  take(text) {
    let from = 0;
    for (let end; (end = text.indexOf("\n\n", from)) >= 0; from = end + 2) {
      let type = "";
      let data = "";
      for (const line of text.slice(from, end).split("\n")) {
        if (line.startsWith("id: ")) this.lastId = line.slice(4);
        else if (line.startsWith("event: ")) type = line.slice(7);
        else if (line.startsWith("data: ")) data = line.slice(6);
      }
      if (type === "") continue;
      this.received++;
      this.event(type, JSON.parse(data));
    }
    return text.slice(from);
  }

  tell(status) {
    const before = this.status;
    this.status = { ...before, ...status };
    if (before.live !== this.status.live || before.why !== this.status.why || !this.status.live) this.changed();
  }
}
