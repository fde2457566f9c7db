"""What a story of the page needs: a host with probes of itself, and a person who signs in."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from .conftest import Host, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXPERIMENT = """
[chaos]
cooldown = "0s"

[[chaos.experiment]]
id = "rehearsal"
fault = "null"
target = "orders"
duration = "60s"
"""


def served(
    host: Host,
    tmp_path: Path,
    probes: int = 30,
    more: str = EXPERIMENT,
    ca: Path | None = None,
    interval: str = "2s",
    target: str | None = None,
) -> Any:
    """A host with probes of the target, which is the host itself when none is given, and of a port where nobody is."""
    config = tmp_path / "fastprobe.toml"
    answers = target or host.listen
    tables = "".join(
        f'[[probe]]\nname = "svc-{number:05}"\nkind = "tcp"\ntarget = "{"127.0.0.1:9" if number % 10 == 0 else answers}"\n'
        f'interval = "{interval}"\ntimeout = "500ms"\nnamespace = "ns-{number % 7}"\n'
        for number in range(probes)
    )
    config.write_text(
        f'[host]\nname = "cp-1"\ncluster = "eu-1"\nstate_dir = "{host.state_dir}"\n\n'
        f'[server]\nlisten = "{host.listen}"\n{more}\n{tables}'
    )
    process = host.start("run", str(config))
    if ca is None:
        until(lambda: host.probe("svc-00001").get("state") == "healthy", "the first probe is healthy")
    else:
        until(lambda: ready(host, ca), "the host is ready")
    return process


def ready(host: Host, ca: Path) -> bool:
    try:
        return httpx.get(f"https://{host.listen}/readyz", verify=ssl.create_default_context(cafile=str(ca))).status_code == 200
    except httpx.TransportError:
        return False


def sign_in(page: Page, host: Host, token: str | None = None) -> None:
    page.goto(f"http://{host.listen}/")
    page.fill("input[name=token]", token or (host.state_dir / "local-token").read_text().strip())
    page.click("button[type=submit]")


TRENDS = re.compile("history")
"""What the groups' cards say of hosts as young as these: none yet, or too young a one."""

VIEWS = {
    "overview": ["Groups", "connect_refused", TRENDS],
    "probes": ["30 of 30"],
    "probe/svc-00000": ["connect_refused", re.compile("Nothing is kept|runs passed")],
    "chaos": ["rehearsal", "Catalogue", "Runs"],
    "audit": ["● "],
    "toggles": ["chaos.enabled"],
    "hosts": ["all of which answer"],
}
"""Every view, and what stands there once it is whole."""


def open_view(page: Page, host: Host, view: str) -> None:
    """Go there by the address, and wait until it is whole."""
    page.goto(f"http://{host.listen}/#/{view if view != 'overview' else ''}")
    whole(page, view)


def whole(page: Page, view: str) -> None:
    """Wait until this view has come in the place of the one before, live, and with all that it fetches."""
    from playwright.sync_api import expect

    name = view.partition("/")[0]
    expect(page.locator("nav[aria-label=views] a[aria-current=page]")).to_have_text(
        "Probes" if name == "probe" else name.title()
    )
    expect(page.locator(".live[data-live=true]")).to_be_visible()
    for words in VIEWS[view]:
        expect(page.locator("main")).to_contain_text(words)


def settled(page: Page) -> None:
    """Wait on the overview until every probe has run: nothing moves by itself any more."""
    from playwright.sync_api import expect

    unknown = page.locator(".tile.unknown strong")
    expect(unknown).to_have_text("0")
    page.reload()  # what was told of them is no news then
    expect(unknown).to_have_text("0")
    expect(page.locator("main")).to_contain_text("None since this page was opened")
    whole(page, "overview")
