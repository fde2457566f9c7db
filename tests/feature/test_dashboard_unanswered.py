"""The page when the host is there and does not answer: what was known stays, its age is told, and it is asked again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, Route, expect

from meshkit_fastprobe.cli.wire import DOING_S

from .conftest import Host
from .dashboard_scene import open_view, served, settled, sign_in

pytestmark = [pytest.mark.feature, pytest.mark.once, pytest.mark.slow]

EXPERIMENTS: Final = "**/chaos/experiments"
GROUPS: Final = "**/groups?window=5m"


def busy(route: Route) -> None:
    """What a host says that is asked too much."""
    route.fulfill(status=503, json={"title": "Busy", "detail": "the host is busy"})


def in_force(page: Page, host: Host) -> None:
    """Signed in, with an experiment that runs."""
    for name in ("chaos.enabled", "chaos.null.enabled"):
        assert host.ask("toggles", "set", name, "on").returncode == 0
    sign_in(page, host)
    open_view(page, host, "chaos")
    page.click("text=Prepare")
    page.fill("dialog input[name=host]", "cp-1")
    page.click("dialog button[type=submit]")
    expect(page.locator(".banner")).to_contain_text("rehearsal")
    expect(page.locator("main .experiment.running")).to_have_count(1)


def test_chaos_in_force_stays_told_while_the_host_does_not_answer(host: Host, tmp_path: Path, page: Page) -> None:
    """And nobody has to tell the page that it is over: no event comes after the last question failed."""
    served(host, tmp_path)
    in_force(page, host)
    open_view(page, host, "overview")
    page.route(EXPERIMENTS, busy)
    page.goto(f"http://{host.listen}/#/chaos")  # it asks on its opening
    expect(page.locator(".notice")).to_contain_text(re.compile(r"Experiments as of .* ago: the host is busy\."))
    expect(page.locator(".banner")).to_contain_text("rehearsal")
    expect(page.locator("main .experiment.running")).to_have_count(1)
    expect(page.locator("main")).not_to_contain_text("Catalogue")
    with page.expect_response(EXPERIMENTS):
        assert host.ask("chaos", "stop", "rehearsal").returncode == 0
    expect(page.locator(".banner")).to_contain_text("rehearsal")
    page.unroute(EXPERIMENTS)
    expect(page.locator(".banner")).to_be_hidden()
    expect(page.locator(".notice")).to_be_hidden()
    expect(page.locator("main")).to_contain_text("Catalogue")


def test_who_may_not_see_experiments_is_shown_none(host: Host, tmp_path: Path, page: Page) -> None:
    """That is an answer, and no reason to go on asking."""
    served(host, tmp_path)
    in_force(page, host)
    page.route(EXPERIMENTS, lambda route: route.fulfill(status=403, json={"detail": "you may not see them"}))
    open_view(page, host, "overview")
    page.goto(f"http://{host.listen}/#/chaos")
    expect(page.locator("main")).to_contain_text("you may not see them")
    expect(page.locator(".banner")).to_be_hidden()
    expect(page.locator(".notice")).to_be_hidden()


def test_experiments_are_asked_for_when_the_page_is_live_again(host: Host, tmp_path: Path, page: Page) -> None:
    """What happened while the stream was broken may be told by no event."""
    served(host, tmp_path)
    page.route("**/events", lambda route: route.abort())
    with page.expect_response(EXPERIMENTS):
        sign_in(page, host)
    expect(page.locator(".live")).to_contain_text("not live")
    with page.expect_response(EXPERIMENTS):
        page.unroute("**/events")
        expect(page.locator(".live[data-live=true]")).to_be_visible()


def test_what_does_not_come_is_told_with_its_age_though_events_do(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    sign_in(page, host)
    settled(page)
    expect(page.locator(".notice")).to_be_hidden()
    page.route(GROUPS, busy)
    expect(page.locator(".notice")).to_contain_text(re.compile(r"^Groups as of .* ago: the host is busy\. The host is asked"))
    expect(page.locator(".live")).to_contain_text("● live")
    page.unroute(GROUPS)
    page.click("text=Try now")
    expect(page.locator(".notice")).to_be_hidden()


def test_half_an_answer_is_none(host: Host, tmp_path: Path, page: Page) -> None:
    """Taken as empty it would say that nothing is in force."""
    served(host, tmp_path)
    page.goto(f"http://{host.listen}/")
    status = page.evaluate(
        """async () => {
            const { Api } = await import("/dashboard/api.js");
            globalThis.fetch = async () => new Response('{"items": [');
            return new Api().get("/chaos/experiments").then(() => "taken", (error) => error.status);
        }"""
    )
    assert status == 0


def test_what_is_done_to_chaos_may_take_its_time(host: Host, tmp_path: Path, page: Page) -> None:
    """As on the command line: such an answer comes once faults are in force, or undone."""
    served(host, tmp_path)
    page.goto(f"http://{host.listen}/")
    patience_ms = page.evaluate(
        """async () => {
            const { Api } = await import("/dashboard/api.js");
            const told = [];
            const timeout = AbortSignal.timeout.bind(AbortSignal);
            AbortSignal.timeout = (ms) => {
                told.push(ms);
                return timeout(ms);
            };
            globalThis.fetch = async () => new Response("{}");
            const api = new Api();
            await api.get("/chaos/experiments");
            await api.post("/probes/svc-00001:run");
            for (const verb of ["approve", "activate", "stop"]) await api.post(`/chaos/experiments/rehearsal:${verb}`, {});
            await api.post("/chaos:halt", {});
            return told;
        }"""
    )
    assert patience_ms == [20_000, 20_000, *[DOING_S * 1000] * 4]
