"""`make screenshots`: what people see, taken from the real demo in a real terminal and a real browser, into docs/images/.

Needs tmux and Debian's chromium beside the test group. Everything runs on loopback, and ends with the script.
"""

from __future__ import annotations

import io
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
FASTPROBE = str(Path(sys.executable).with_name("fastprobe"))
COLUMNS, LINES = 112, 34
SETTLED_S = 25.0
"""Until every target of the demo has shown what it is."""
PATIENCE_MS = 20_000
EXPERIMENTS = """
[host]
name = "cp-1"
cluster = "eu-1"
state_dir = "{state_dir}"

[server]
listen = "{address}"

[chaos]
cooldown = "0s"

[[chaos.experiment]]
id = "slow-orders"
fault = "null"
target = "orders"
duration = "5m"
says = "a rehearsal of the slow database"
steady_state = {{ namespace = "orders", healthy_ratio = 0.9 }}

[[chaos.experiment]]
id = "lost-payments"
fault = "null"
target = "payments"
duration = "60s"
says = "the steps of a partition, without harm"
"""
PROBE = '\n[[probe]]\nname = "{namespace}-{number}"\nkind = "tcp"\ntarget = "{address}"\ninterval = "2s"\ntimeout = "500ms"\n'


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def running(*command: str) -> Iterator[None]:
    process = subprocess.Popen([FASTPROBE, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def page_of(browser: Browser, address: str, token: str, *, dark: bool = False, width: int = 1280) -> Iterator[Page]:
    """Signed in, as an operator is."""
    scheme = "dark" if dark else "light"
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"http://{address}/")
    page.fill("input[name=token]", token)
    page.click("button[type=submit]")
    page.wait_for_selector("nav >> text=Probes")
    yield page
    context.close()


def shoot(page: Page, name: str) -> None:
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / f"{name}.png")
    told(name)


def told(name: str) -> None:
    """Smaller, with as many colours as anybody sees."""
    path = IMAGES / f"{name}.png"
    image = Image.open(path).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    image.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} KiB")


def terminal(browser: Browser, name: str, title: str, command: str, seconds: float) -> None:
    """What a command shows in a terminal of this size, as a picture."""
    server = ["tmux", "-L", f"shots-{name}"]
    size = ["-x", str(COLUMNS), "-y", str(LINES)]
    subprocess.run([*server, "new-session", "-d", *size, f"{command}; sleep 60"], check=True)
    try:
        time.sleep(seconds)
        shown = subprocess.run([*server, "capture-pane", "-e", "-p"], check=True, capture_output=True, text=True).stdout
    finally:
        subprocess.run([*server, "kill-server"], check=True)
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(shown.rstrip("\n")))
    svg = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title=title), flags=re.DOTALL)  # nothing from elsewhere
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, device_scale_factor=1)
    page.set_content(f"<style>body{{margin:0}} text{{font-family:monospace!important}}</style>{svg}")
    page.locator("svg").screenshot(path=IMAGES / f"{name}.png")
    told(name)
    page.close()


def of_the_demo(browser: Browser, state_dir: Path) -> None:
    address = free_address()
    with running("demo", "--probes", "2000", "--listen", address, "--state-dir", str(state_dir)):
        time.sleep(SETTLED_S)
        token = (state_dir / "local-token").read_text().strip()
        known = f"--host http://{address} --token-file {state_dir / 'local-token'}"
        terminal(browser, "status", "fastprobe status", f"{FASTPROBE} status {known}", 4)
        terminal(browser, "top", "fastprobe top", f"{FASTPROBE} top {known}", 8)
        with page_of(browser, address, token) as page:
            shoot(page, "overview")
        with page_of(browser, address, token, dark=True) as page:
            page.click("nav >> text=Probes")
            shoot(page, "probes-dark")


def of_an_experiment(browser: Browser, state_dir: Path) -> None:
    address = free_address()
    config = state_dir / "fastprobe.toml"
    probes = "".join(
        PROBE.format(namespace=namespace, number=number, address=address) + f'namespace = "{namespace}"\n'
        for namespace in ("orders", "payments", "edge")
        for number in range(8)
    )
    config.write_text(EXPERIMENTS.format(state_dir=state_dir, address=address) + probes)
    with running("run", str(config)):
        time.sleep(10)
        token_file = state_dir / "local-token"
        known = ["--host", f"http://{address}", "--token-file", str(token_file)]
        for toggle in ("chaos.enabled", "chaos.null.enabled"):
            subprocess.run([FASTPROBE, "toggles", "set", toggle, "on", *known], check=True, capture_output=True)
        with page_of(browser, address, token_file.read_text().strip()) as page:
            page.click("nav >> text=Chaos")
            page.wait_for_selector("main >> text=slow-orders")
            page.locator("text=Prepare").first.click()
            page.locator("dialog input[name=host]").fill("cp-1")
            page.locator("dialog button[type=submit]").click()
            page.wait_for_selector(".banner")
            shoot(page, "chaos")


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None or shutil.which("tmux") is None:
        sys.exit("needs chromium and tmux: apt-get install chromium tmux")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, take in (("demo", of_the_demo), ("experiment", of_an_experiment)):
            state_dir = Path(folder) / name
            state_dir.mkdir()
            take(browser, state_dir)
        browser.close()


if __name__ == "__main__":
    main()
