"""`python browser.py JSON`: Chromium in front of a host's page, in a process of its own. Prints what it felt, as JSON."""

import json
import statistics
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

LOOKS = 5
PATIENCE_MS = 60_000

NOW_AFTER_A_FRAME = """() => new Promise((done) =>
    requestAnimationFrame(() => setTimeout(() => done(performance.now() / 1000))))"""
USEFUL = """() => {
    const healthy = Number(document.querySelector(".tile.healthy strong")?.textContent.replaceAll(",", ""));
    const drawn = [...document.querySelectorAll(".card canvas")].some((canvas) => canvas.width > 0 && canvas.height > 0);
    return healthy > 0 && drawn && document.querySelector(".reasons li, .panel p.quiet") !== null;
}"""
FRAMES = """async ([seconds, step]) => {
    const place = document.querySelector(".table");
    let frames = 0, longest = 0, last = performance.now();
    const began = last;
    while (last - began < seconds * 1000) {
        place.scrollTop += step;
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
        frames += 1;
    }
    return [frames / ((last - began) / 1000), longest];
}"""


def look(browser: Browser, asked: dict[str, Any]) -> dict[str, Any]:
    paints = []
    for _ in range(LOOKS):
        with _page(browser, asked) as page:
            page.wait_for_function(USEFUL)
            paints.append(page.evaluate(NOW_AFTER_A_FRAME))
    with _page(browser, asked, "#/probes") as page:
        page.wait_for_function(f"() => document.body.textContent.includes('of {asked['probes']:,} probes')")
        page.wait_for_function("() => !document.body.textContent.includes('are loaded')")
        listed_s = page.evaluate(NOW_AFTER_A_FRAME)
        fps, _ = page.evaluate(FRAMES, [3, 40])
    return {"paint_s": statistics.median(paints), "list_s": listed_s, "scroll_fps": fps}


def storm(browser: Browser, asked: dict[str, Any]) -> dict[str, Any]:
    with _page(browser, asked, "#/hosts") as page:
        page.wait_for_function("() => document.querySelector('.live')?.dataset.live === 'true'")
        before, missed_before = _events(page)
        began_s = page.evaluate("() => performance.now() / 1000")
        page.evaluate("location.hash = '#/probes'")
        page.wait_for_selector(".line")
        page.wait_for_timeout(1000)
        fps, longest_ms = page.evaluate(FRAMES, [asked["seconds"], 0])
        page.evaluate("location.hash = '#/hosts'")
        after, missed = _events(page)
        took_s = page.evaluate("() => performance.now() / 1000") - began_s
    return {
        "fps": fps,
        "longest_gap_ms": longest_ms,
        "events_per_s": (after - before) / took_s,
        "missed": missed - missed_before,
    }


def hosts(browser: Browser, asked: dict[str, Any]) -> dict[str, Any]:
    times = []
    for _ in range(LOOKS):
        with _page(browser, asked, "#/hosts") as page:
            page.wait_for_function(f"() => document.querySelectorAll('.share .bar').length === {asked['hosts']}")
            times.append(page.evaluate(NOW_AFTER_A_FRAME))
    return {"hosts_s": statistics.median(times)}


def _events(page: Page) -> tuple[int, int]:
    """Events that the page took and missed, as its view of hosts tells."""
    words = page.locator("dd", has_text="missed").inner_text()
    numbers = ["".join(filter(str.isdigit, part)) for part in words.split(", ") if any(map(str.isdigit, part))]
    return int(numbers[0]), int(numbers[1])


@contextmanager
def _page(browser: Browser, asked: dict[str, Any], view: str = "") -> Any:
    """In a browser that has never been here. The link takes the token along; a view is gone to in the same document."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{asked['url']}/#token={asked['token']}", wait_until="commit")
    if view:
        page.wait_for_selector("nav")
        page.evaluate(f"location.hash = {view!r}")
    yield page
    context.close()


ACTS: dict[str, Callable[[Browser, dict[str, Any]], dict[str, Any]]] = {"look": look, "storm": storm, "hosts": hosts}


def main(asked: dict[str, Any]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked["chromium"], args=["--no-sandbox"])
        print(json.dumps(ACTS[asked["act"]](browser, asked)))
        browser.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
