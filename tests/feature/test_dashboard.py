"""The page in a real browser: who signs in, what is shown, what is confirmed, and what it says when the host is gone."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest
import trustme
from playwright.sync_api import Browser, Page, expect

from .conftest import BROWSER_PATIENCE_MS, PATIENCE_S, Host, until
from .dashboard_scene import served, sign_in

pytestmark = [pytest.mark.feature, pytest.mark.once, pytest.mark.slow]


@contextmanager
def accepting() -> Iterator[socket.socket]:
    """A target that takes every connection, until the block ends; nobody is there after it."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                target.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0), backlog=1024) as target:
        Thread(target=accept, daemon=True).start()
        yield target
        target.shutdown(socket.SHUT_RDWR)  # closing alone would leave it to the thread that waits in accept


def address_of(target: socket.socket) -> str:
    return f"127.0.0.1:{target.getsockname()[1]}"


def test_a_stranger_gets_the_page_and_nothing_of_the_host(host: Host, tmp_path: Path) -> None:
    served(host, tmp_path)
    index = httpx.get(f"http://{host.listen}/", timeout=PATIENCE_S)
    names = [*re.findall(r'(?:href|src)="(/dashboard/[^"]+)"', index.text), "/"]
    assert len(names) > 10
    for name in names:
        answer = httpx.get(f"http://{host.listen}{name}", timeout=PATIENCE_S)
        assert answer.status_code == 200
        assert "cp-1" not in answer.text
        assert "svc-0" not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    for path, refusals in (("dashboard/../../etc/passwd", {401, 404}), ("meshkit/diagnostics/v1/probes", {401})):
        assert httpx.get(f"http://{host.listen}/{path}", timeout=PATIENCE_S).status_code in refusals


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
    expect(page.locator("main")).to_contain_text("○ injection point: no code here has asked for one")
    expect(page.locator("main")).to_contain_text("● memory: touches nothing")
    page.click("text=Prepare")
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("orders")
    expect(dialog).to_contain_text("memory: touches nothing")
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
    expect(page.locator(".notice")).to_contain_text("ago")
    expect(page.locator("body")).to_have_class(re.compile("late"))


def test_ten_thousand_probes_are_listed_and_scrolled(host: Host, tmp_path: Path, page: Page) -> None:
    """Of a target of their own: nine hundred connections a second are no load that the host has to serve as well."""
    with accepting() as target:
        served(host, tmp_path, probes=10_000, interval="10s", target=address_of(target))
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


def test_a_storm_of_events_leaves_the_page_alive_and_right(host: Host, tmp_path: Path, page: Page) -> None:
    """A thousand probes turn within a second; each is shown as what it has become, however fast this machine is."""
    with accepting() as target:
        address = address_of(target)
        tables = "".join(
            f'[[probe]]\nname = "turns-{number:04}"\nkind = "tcp"\ntarget = "{address}"\ninterval = "1s"\ntimeout = "900ms"\n'
            "rise = 1\nfall = 1\n"
            for number in range(1000)
        )
        served(host, tmp_path, probes=10, more=tables)
        sign_in(page, host)
        expect(page.locator("main")).to_contain_text("Groups")
        page.goto(f"http://{host.listen}/#/probes?q=turns&state=healthy")
        expect(page.locator("main")).to_contain_text("1,000 of 1,010")
    expect(page.locator("main")).to_contain_text("0 of 1,010")
    page.click("nav >> text=Hosts")
    expect(page.locator("dd", has_text="missed")).to_contain_text(", 0 missed")


def test_hosts_that_answer_and_hosts_that_do_not_stand_side_by_side(tmp_path: Path, page: Page) -> None:
    from benchmarks.shared.many_hosts import many_hosts

    with many_hosts(tmp_path, 4, 20) as urls:
        page.goto(f"{urls[-1]}/#token={(tmp_path / 'token').read_text()}")
        page.click("nav >> text=Hosts")
        expect(page.locator("main")).to_contain_text("4 hosts, all of which answer")
        expect(page.locator(".share .bar")).to_have_count(4)
        expect(page.get_by_role("link", name="cp-001")).to_have_attribute("href", f"{urls[1]}/")


def test_a_client_certificate_signs_in_without_a_token(host: Host, tmp_path: Path, browser: Browser) -> None:
    authority = trustme.CA()
    for name, leaf in (
        ("server", authority.issue_cert("127.0.0.1")),
        ("operator", authority.issue_cert(common_name="operator")),
    ):
        (tmp_path / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = f'tls = {{ cert = "{tmp_path}/server.pem", key = "{tmp_path}/server.key", client_ca = "{tmp_path}/ca.pem" }}\n'
    binding = '[[security.binding]]\nsubject = "user:operator"\nrole = "viewer"\n'
    served(host, tmp_path, more=tls + binding, ca=tmp_path / "ca.pem")
    origin = f"https://{host.listen}"
    certificate = {"origin": origin, "certPath": tmp_path / "operator.pem", "keyPath": tmp_path / "operator.key"}
    context = browser.new_context(client_certificates=[certificate], ignore_https_errors=True)
    page = context.new_page()
    page.set_default_timeout(BROWSER_PATIENCE_MS)
    page.goto(f"{origin}/")
    expect(page.locator("main")).to_contain_text("svc-00000")
    expect(page.locator("main")).to_contain_text("connect_refused")
    context.close()


def test_the_past_is_drawn_as_it_was_and_holes_stay_holes(host: Host, tmp_path: Path, page: Page) -> None:
    """A quarter, an hour in which nobody watched, and a quarter in which the probe went down."""
    served(host, tmp_path)
    page.goto(f"http://{host.listen}/")
    found = page.evaluate(
        """async () => {
            const { pastSpans, pastLines } = await import("/dashboard/past.js");
            const step = (start, state) => ({ start, state, p50Seconds: 0.001, p90Seconds: 0.002, p99Seconds: 0.003 });
            const item = {
                start: "2030-01-01T08:00:00Z", end: "2030-01-01T10:00:00Z", stepSeconds: 900,
                steps: [step("2030-01-01T08:00:00Z", "healthy"), step("2030-01-01T09:15:00Z", "unhealthy")],
                changes: [{ at: "2030-01-01T09:20:00Z", before: "healthy", after: "unhealthy" }],
            };
            const minutes = (at) => (at - Date.parse(item.start)) / 60000;
            const spans = pastSpans(item).map(({ from, to, state }) => [minutes(from), minutes(to), state]);
            return [spans, pastLines(item).p99.map(({ at, value }) => [minutes(at), Number.isNaN(value) ? null : value])];
        }"""
    )
    spans, levels = found
    assert spans == [
        [0, 15, "healthy"],
        [15, 75, "absent"],
        [75, 80, "healthy"],
        [80, 90, "unhealthy"],
        [90, 120, "absent"],
    ]
    assert levels == [[0, 0.003], [15, 0.003], [75, None], [75, 0.003], [90, 0.003]]


def test_the_past_is_right_beyond_the_changes_that_are_told(host: Host, tmp_path: Path, page: Page) -> None:
    """A restart begins with unknown, a pause is no change, and of many changes only the newest are told."""
    served(host, tmp_path)
    page.goto(f"http://{host.listen}/")
    restarted, paused, flapped = page.evaluate(
        """async () => {
            const { pastSpans } = await import("/dashboard/past.js");
            const start = Date.parse("2030-01-01T08:00:00Z");
            const at = (minute) => new Date(start + minute * 60000).toISOString();
            const past = (states, changes) => pastSpans({
                start: at(0), end: at(60), stepSeconds: 900,
                steps: states.map((state, index) => ({ start: at(15 * index), state, runs: 9, results: { ok: 9 } })),
                changes: changes.map(([minute, before, after]) => ({ at: at(minute), before, after })),
            }).map(({ from, to, state }) => [(from - start) / 60000, (to - start) / 60000, state]);
            return [
                past(["healthy", "healthy", "healthy", "healthy"], [[50, "unknown", "healthy"]]),
                past(["healthy", "paused", "unknown", "healthy"], [[46, "unknown", "healthy"]]),
                past(
                    ["unhealthy", "healthy", "unhealthy", "healthy"],
                    [[40, "healthy", "unhealthy"], [45, "unhealthy", "healthy"]],
                ),
            ];
        }"""
    )
    assert restarted == [[0, 45, "healthy"], [45, 50, "unknown"], [50, 60, "healthy"]]
    assert paused == [[0, 15, "healthy"], [15, 30, "paused"], [30, 46, "unknown"], [46, 60, "healthy"]]
    assert flapped == [[0, 15, "unhealthy"], [15, 40, "healthy"], [40, 45, "unhealthy"], [45, 60, "healthy"]]


def test_the_page_of_a_probe_tells_its_past(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    sign_in(page, host)
    expect(page.locator("main")).to_contain_text("svc-00000")
    page.goto(f"http://{host.listen}/#/probe/svc-00000")
    expect(page.locator("main")).to_contain_text("The past")
    expect(page.locator("main")).to_contain_text("connect_refused")
    page.click("text=a week")
    expect(page.locator("button", has_text="a week")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("main")).to_contain_text(re.compile("Nothing is kept|runs passed"))


def test_groups_tell_how_they_fared_and_holes_stay_holes(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    sign_in(page, host)
    expect(page.locator(".card .past").first).to_have_text(re.compile("no history yet|history too young"))
    told = page.evaluate(
        """async () => {
            const { byGroup, drawTrend } = await import("/dashboard/trends.js");
            const tags = { cluster: "eu-1", namespace: "orders" };
            const step = (start, successRatio) => ({ start, tags, runs: 10, successRatio, p99Seconds: 0.002 });
            const items = [step("2030-01-01T08:00:00Z", 1), step("2030-01-01T08:15:00Z", 0.5), step("2030-01-01T09:00:00Z", 1)];
            const young = { ...items[0], tags: { cluster: "eu-1", namespace: "young" } };
            const bare = items.map(({ p99Seconds, ...item }) => ({ ...item, tags: { cluster: "eu-1", namespace: "bare" } }));
            const found = byGroup([...items, young, ...bare], 900000, ({ namespace }) => namespace);
            const canvas = document.createElement("canvas");
            drawTrend(canvas, found.get("orders"), 100);
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const inked = (x) => data.some((alpha, at) => at % 4 === 3 && alpha > 0 && Math.floor(at / 4) % canvas.width === x);
            return {
                steps: found.get("orders").steps.map((one) => one?.successRatio ?? null),
                words: [...found.values()].map(({ words }) => words),
                inked: [10, 60, 98].map(inked),
            };
        }"""
    )
    assert told["steps"] == [1, 0.5, None, None, 1]
    worst = "last 6 h: at worst 50.0 % pass, p99 "
    assert told["words"] == [f"{worst}2.00 ms", "history too young", f"{worst}\N{EN DASH}"]
    assert told["inked"] == [True, False, True]


def test_a_card_tells_how_many_are_stale_while_its_counts_stay(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    sign_in(page, host)
    told = page.evaluate(
        """async () => {
            const { HeatMap } = await import("/dashboard/heatmap.js");
            const map = new HeatMap();
            return [0, 3, 1, 0].map((stale) => {
                const tags = { cluster: "eu-1", namespace: "orders" };
                map.update([{ tags, probes: 5, stale, states: { healthy: 5 }, successRatio: 1 }]);
                return map.element.querySelector(".counts").textContent;
            });
        }"""
    )
    assert told == ["● 5", "● 53 stale", "● 51 stale", "● 5"]


def test_how_long_an_experiment_lasts_is_told_as_it_is(host: Host, tmp_path: Path, page: Page) -> None:
    """Also below a second, and between two: what is confirmed must not read 0s."""
    served(host, tmp_path)
    sign_in(page, host)
    told = page.evaluate(
        """async () => {
            const { lasting } = await import("/dashboard/words.js");
            return [0.25, 1.5, 60, 5400].map(lasting);
        }"""
    )
    assert told == ["250 ms", "1.50 s", "1m00s", "1h30m"]


def test_a_host_without_history_says_so_on_its_overview(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path, more="[history]\nenabled = false\n")
    sign_in(page, host)
    expect(page.locator(".card .past").first).to_have_text("no history is kept")


def test_what_happens_while_the_page_opens_is_not_lost(host: Host, tmp_path: Path, page: Page) -> None:
    """Probes are asked for once the stream stands; what it tells meanwhile is newer than a page that does not count it yet."""
    served(host, tmp_path)
    page.goto(f"http://{host.listen}/")
    asked_before, told, later = page.evaluate(
        """async () => {
            const { Store } = await import("/dashboard/store.js");
            const asked = [];
            const item = { name: "a", target: "t", state: "unknown", since: "2030-01-01T08:00:00Z" };
            const answers = { generatedAt: "2030-01-01T08:00:10Z", host: "h", items: [item] };
            const get = async (path) => {
                asked.push(path);
                return path.startsWith("/groups") ? { ...answers, items: [] } : answers;
            };
            const store = new Store({ get });
            store.start();
            const before = asked.some((path) => path.startsWith("/probes"));
            store.take("hello", { host: "h" });
            store.take("transition", { name: "a", before: "unknown", after: "healthy", at: "2030-01-01T08:00:09.990Z" });
            await store.loading;
            const told = store.rows.get("a").state;
            answers.generatedAt = "2030-01-01T08:01:10Z";
            await store.loadRows();
            store.stop();
            return [before, told, store.rows.get("a").state];
        }"""
    )
    assert not asked_before
    assert told == "healthy"
    assert later == "unknown"  # a page of a minute later knows better
