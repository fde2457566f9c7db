"""The page without a mouse: Tab, Shift-Tab, Enter and Escape lead everywhere, and nobody loses their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import Host
from .dashboard_scene import VIEWS, open_view, served, settled, sign_in, whole

pytestmark = [pytest.mark.feature, pytest.mark.once, pytest.mark.slow]

MAX_STOPS = 300
"""Of one view; more would be a circle that does not close."""
DOUBLE = 1.5
"""Outlines of fewer CSS pixels are not seen."""

STOPS = """
globalThis.nameOf = (element) => {
    const labelled = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
    return `${element.tagName.toLowerCase()} ${labelled.trim()} ${element.getAttribute("href") ?? ""}`.trim();
};
globalThis.reachable = () => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
    .filter((element) => element.checkVisibility() && !element.disabled && element.tabIndex >= 0)
    .map(nameOf);
globalThis.stop = () => {
    const element = document.activeElement;
    if (element === null || element === document.body) return null;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const [left, top] = [Math.max(0, box.left), Math.max(0, box.top)];
    const [right, bottom] = [Math.min(innerWidth, box.right), Math.min(innerHeight, box.bottom)];
    const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    return {
        name: nameOf(element),
        outline: style.outlineStyle === "none" ? 0 : Number.parseFloat(style.outlineWidth),
        seen: left < right && top < bottom && (element.contains(there) || there?.contains(element)) ,
        inDialog: element.closest("dialog") !== null,
    };
};
"""


def stop(page: Page) -> dict[str, Any] | None:
    """Where the focus is; None when nothing has it."""
    found: dict[str, Any] | None = page.evaluate("stop()")
    return found


def focused(page: Page) -> str:
    """What it is on is called so."""
    here = stop(page)
    assert here is not None
    return str(here["name"])


def walk(page: Page, key: str) -> list[dict[str, Any]]:
    """Every stop of this key, from where the focus is until it comes round."""
    stops: list[dict[str, Any]] = []
    for _ in range(MAX_STOPS):
        page.keyboard.press(key)
        here = stop(page)
        if here is None:
            continue  # between the last and the first the browser's own places would be
        if stops and here["name"] == stops[0]["name"]:
            return stops
        stops.append(here)
    raise AssertionError(f"no way out of {[one['name'] for one in stops[-5:]]}")


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Go to what begins with this name."""
    for _ in range(MAX_STOPS):
        page.keyboard.press(key)
        here = stop(page)
        if here is not None and here["name"].startswith(name):
            return
    raise AssertionError(f"{key} never came to {name!r}")


def ready(page: Page) -> None:
    """So that it can be asked for its stops."""
    page.add_init_script(STOPS)


@pytest.mark.parametrize("width", [1280, 360])
def test_tab_comes_to_everything_visibly_and_round_again(host: Host, tmp_path: Path, page: Page, width: int) -> None:
    served(host, tmp_path)
    ready(page)
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(page, host)
    settled(page)
    for view in VIEWS:
        open_view(page, host, view)
        forward = walk(page, "Tab")
        assert {one["name"] for one in forward} == set(page.evaluate("reachable()")), view
        assert [one["name"] for one in forward if one["outline"] < DOUBLE] == [], view
        assert [one["name"] for one in forward if not one["seen"]] == [], view
        backward = walk(page, "Shift+Tab")
        assert {one["name"] for one in backward} == {one["name"] for one in forward}, view
        assert [one["name"] for one in backward if not one["seen"]] == [], view


def test_who_signs_in_and_looks_for_a_probe_needs_no_mouse(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    ready(page)
    page.goto(f"http://{host.listen}/")
    expect(page.locator("input[name=token]")).to_be_focused()
    page.keyboard.type("wrong")
    tab_to(page, "button Sign in")
    page.keyboard.press("Enter")
    expect(page.locator("[role=alert]")).not_to_be_empty()
    expect(page.locator("input[name=token]")).to_be_focused()
    page.keyboard.type((host.state_dir / "local-token").read_text().strip())
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("ns-3")
    whole(page, "overview")
    tab_to(page, "a ns-3")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("4 of 30")
    tab_to(page, "div probes")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("main h1")).to_contain_text("svc-0")
    expect(page.locator("main")).to_be_focused()  # what was on it is gone; the next Tab goes on where reading goes on
    page.keyboard.press("Tab")
    assert focused(page).startswith("a ← all probes")
    tab_to(page, "button Run now and explain")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("This run")
    expect(page.get_by_role("button", name="Run now and explain")).to_be_focused()


def test_the_focus_stays_while_what_it_is_on_is_written_anew(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    ready(page)
    sign_in(page, host)
    settled(page)
    for name in ("a svc-000", "a connect_refused", "a ns-3"):
        tab_to(page, name)
        before = stop(page)
        page.wait_for_timeout(6_500)  # groups are asked for every five seconds
        assert stop(page) == before


def test_an_experiment_is_prepared_confirmed_and_halted_by_keyboard(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    ready(page)
    for name in ("chaos.enabled", "chaos.null.enabled"):
        assert host.ask("toggles", "set", name, "on").returncode == 0
    sign_in(page, host)
    whole(page, "overview")
    tab_to(page, "a Chaos")
    page.keyboard.press("Enter")
    whole(page, "chaos")
    tab_to(page, "button Prepare rehearsal")
    for leave in ("Escape", "Cancel"):
        page.keyboard.press("Enter")
        expect(page.locator("dialog")).to_contain_text("orders")
        assert all(one["inDialog"] and one["outline"] >= DOUBLE and one["seen"] for one in walk(page, "Tab"))
        if leave == "Cancel":
            tab_to(page, "button Cancel", "Shift+Tab")
        page.keyboard.press("Enter" if leave == "Cancel" else leave)
        expect(page.locator("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name="Prepare rehearsal")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("dialog input[name=host]")).to_be_focused()
    page.keyboard.type("cp-1")
    tab_to(page, "button Inject")
    page.keyboard.press("Enter")
    expect(page.locator(".banner")).to_contain_text("rehearsal")
    expect(page.get_by_role("button", name="Stop rehearsal").last).to_be_focused()
    tab_to(page, "button Halt chaos", "Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#halt")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("seen enough")
    tab_to(page, "button Halt everything")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("halted")
    expect(page.locator("#halt")).to_be_focused()


def test_a_toggle_is_switched_and_keeps_its_place(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    ready(page)
    sign_in(page, host)
    open_view(page, host, "toggles")
    name = "button change chaos.null.enabled"
    tab_to(page, name)
    page.keyboard.press("Enter")
    expect(page.locator("dialog input[name=reason]")).to_be_focused()
    page.keyboard.type("a rehearsal")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("a rehearsal")
    assert focused(page).startswith(name)


def test_who_confirms_stands_on_the_way_out_also_when_the_news_come_before_the_answer(
    host: Host, tmp_path: Path, page: Page
) -> None:
    """On a busy host the stream tells of the fault, and its card is written anew, while the question still stands."""
    served(host, tmp_path)
    ready(page)
    for name in ("chaos.enabled", "chaos.null.enabled"):
        assert host.ask("toggles", "set", name, "on").returncode == 0
    sign_in(page, host)
    open_view(page, host, "chaos")

    def late(route: Route) -> None:
        answer = route.fetch()
        expect(page.locator("main .experiment.running")).to_have_count(1)
        route.fulfill(response=answer)

    page.route("**/rehearsal:activate", late)
    tab_to(page, "button Prepare rehearsal")
    page.keyboard.press("Enter")
    expect(page.locator("dialog input[name=host]")).to_be_focused()
    page.keyboard.type("cp-1")
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Stop rehearsal").last).to_be_focused()
