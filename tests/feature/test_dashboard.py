"""The page in a real browser: who signs in, what is shown, what is confirmed, and what it says when the host is gone."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .conftest import Host, until

pytestmark = [pytest.mark.feature, pytest.mark.slow]

PATIENCE_MS = 20_000
EXPERIMENT = """
[chaos]
cooldown = "0s"

[[chaos.experiment]]
id = "rehearsal"
fault = "null"
target = "orders"
duration = "60s"
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh one; whatever it complains of, a breach of its own policy above all, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert complaints == []


def served(host: Host, tmp_path: Path, probes: int = 30, more: str = EXPERIMENT) -> Any:
    """A host with probes of itself, and of a port where nobody is."""
    config = tmp_path / "fastprobe.toml"
    tables = "".join(
        f'[[probe]]\nname = "svc-{number:05}"\nkind = "tcp"\ntarget = "{"127.0.0.1:9" if number % 10 == 0 else host.listen}"\n'
        f'interval = "10s"\ntimeout = "500ms"\nnamespace = "ns-{number % 7}"\n'
        for number in range(probes)
    )
    config.write_text(
        f'[host]\nname = "cp-1"\ncluster = "eu-1"\nstate_dir = "{host.state_dir}"\n\n'
        f'[server]\nlisten = "{host.listen}"\n{more}\n{tables}'
    )
    process = host.start("run", str(config))
    until(lambda: host.probe("svc-00001").get("state") == "healthy", "the first probe is healthy")
    return process


def sign_in(page: Page, host: Host, token: str | None = None) -> None:
    page.goto(f"http://{host.listen}/")
    page.fill("input[name=token]", token or (host.state_dir / "local-token").read_text().strip())
    page.click("button[type=submit]")


def test_a_stranger_gets_the_page_and_nothing_of_the_host(host: Host, tmp_path: Path) -> None:
    served(host, tmp_path)
    index = httpx.get(f"http://{host.listen}/")
    names = [*re.findall(r'(?:href|src)="(/dashboard/[^"]+)"', index.text), "/"]
    assert len(names) > 10
    for name in names:
        answer = httpx.get(f"http://{host.listen}{name}")
        assert answer.status_code == 200
        assert "cp-1" not in answer.text
        assert "svc-0" not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert httpx.get(f"http://{host.listen}/dashboard/../../etc/passwd").status_code in {401, 404}
    assert httpx.get(f"http://{host.listen}/meshkit/diagnostics/v1/probes").status_code == 401


def test_a_wrong_token_is_refused_and_the_right_one_shows_what_is_broken(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    sign_in(page, host, "wrong")
    expect(page.locator("[role=alert]")).not_to_be_empty()
    sign_in(page, host)
    expect(page.locator("main")).to_contain_text("svc-00000")
    expect(page.locator("main")).to_contain_text("connect_refused")
    assert "token" not in page.url


def test_filters_stand_in_the_address_and_come_back_with_it(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    sign_in(page, host)
    page.click("nav >> text=Probes")
    expect(page.locator("main")).to_contain_text("30 of 30")
    page.keyboard.press("/")
    page.keyboard.type("svc-00010")
    expect(page.locator("main")).to_contain_text("1 of 30")
    expect(page).to_have_url(re.compile("svc-00010"))
    page.reload()
    expect(page.locator("main")).to_contain_text("1 of 30")


def test_an_experiment_is_shown_confirmed_and_halted(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    for name in ("chaos.enabled", "chaos.null.enabled"):
        assert host.ask("toggles", "set", name, "on").returncode == 0
    sign_in(page, host)
    page.click("nav >> text=Chaos")
    page.click("text=Prepare")
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("orders")
    inject = dialog.locator("button[type=submit]")
    expect(inject).to_be_disabled()
    dialog.locator("input[name=host]").fill("cp-2")
    expect(inject).to_be_disabled()
    dialog.locator("input[name=host]").fill("cp-1")
    inject.click()
    expect(page.locator(".banner")).to_contain_text("rehearsal")
    page.click("nav >> text=Overview")
    page.click("#halt")
    page.locator("dialog input[name=reason]").fill("seen enough")
    page.click("dialog button[type=submit]")
    expect(page.locator(".toast")).to_contain_text("halted")
    run = until(lambda: host.ask("chaos", "history", "-o", "json").stdout, "the history")
    assert '"aborted"' in run or '"recovering"' in run


def test_a_host_that_is_gone_is_told_with_the_age_of_what_is_shown(host: Host, tmp_path: Path, page: Page) -> None:
    process = served(host, tmp_path)
    sign_in(page, host)
    expect(page.locator(".live")).to_contain_text("live")
    process.send_signal(signal.SIGKILL)
    expect(page.locator(".notice")).to_contain_text("ago", timeout=PATIENCE_MS * 2)
    expect(page.locator("body")).to_have_class(re.compile("late"))


def test_ten_thousand_probes_are_listed_and_scrolled(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path, probes=10_000)
    sign_in(page, host)
    page.click("nav >> text=Probes")
    expect(page.locator("main")).to_contain_text("10,000")
    frames = page.evaluate(
        """async () => {
            const place = [...document.querySelectorAll("main *")].find((e) => e.scrollHeight > e.clientHeight * 5)
                ?? document.scrollingElement;
            let n = 0;
            const until = performance.now() + 1000;
            while (performance.now() < until) {
                place.scrollTop += 400;
                await new Promise(requestAnimationFrame);
                n += 1;
            }
            return n;
        }"""
    )
    print("frames a second while scrolling:", frames)
    assert frames > 5  # how many it is depends on the machine; that it does not stand still does not
    assert page.locator("main a").count() < 500
