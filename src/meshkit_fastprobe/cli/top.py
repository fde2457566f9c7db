"""`fastprobe top`: hosts, live on the terminal, until q. Threads ask and listen; this one draws and reads keys."""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, Final

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.reading import Cluster, Fleet, Hosts, Namespace, TokenFile, _client, _params, _worst_code

POLL_S: Final = 2.0
FRAME_S: Final = 0.25
"""The longest that a key or a second of a countdown waits."""
WORST: Final = 200
"""Probes of each state that a round fetches from each host."""


def top(
    host: Hosts = None,
    fleet: Fleet = False,
    cluster: Cluster = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
) -> int:
    """Live: groups as a heat strip, the worst probes, transitions, chaos in force with a key that halts it."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CliError("top needs a terminal to draw on and to read keys from", "elsewhere: fastprobe status -o json")
    return _run(_client(host, token_file, fleet=fleet), _params(cluster=cluster, namespace=namespace))


def _run(client: Any, where: list[tuple[str, str]]) -> int:
    from meshkit_fastprobe.cli import tables
    from meshkit_fastprobe.cli.following import Told, listen
    from meshkit_fastprobe.cli.top_screen import draw
    from meshkit_fastprobe.cli.top_state import View
    from meshkit_fastprobe.cli.watching import Screen

    colours = tables.console().color_system
    view, news, again = View(), SimpleQueue[Any](), Event()
    Thread(target=_poll, args=(client, where, news, again), daemon=True).start()
    told = listen(client, [*where, ("types", "transition")])
    code: int = Exit.WELL
    with Screen(sys.stdout) as screen, _keys() as keys:
        try:
            while True:
                for hosts in _drain(news):
                    if isinstance(hosts, str):
                        view.message = hosts
                    else:
                        view.take(hosts)
                        code = _code(hosts)
                for one in _drain(told):
                    if isinstance(one, Told):
                        view.hear(one.host, one.event, one.data)
                size = shutil.get_terminal_size()
                screen.show(draw(view, time.time(), size.columns, size.lines, colours), size)
                if _act(view, next(keys), client, news, again):
                    return code
        except KeyboardInterrupt:
            return code


def _act(view: Any, pressed: list[str], client: Any, news: SimpleQueue[Any], again: Event) -> bool:
    """Whether to leave."""
    from meshkit_fastprobe.cli.top_state import Action

    for key in pressed:
        match view.press(key):
            case Action.QUIT:
                return True
            case Action.REFRESH:
                again.set()
            case Action.HALT:
                Thread(target=_halt, args=(client, news, again), daemon=True).start()
    return False


def _code(hosts: Any) -> int:
    sick = any(item["states"].get("unhealthy") for host in hosts for item in host.groups)
    return _worst_code({host.code for host in hosts}, unhealthy=sick)


def _poll(client: Any, where: list[tuple[str, str]], news: SimpleQueue[Any], again: Event) -> None:
    """Round after round, as fast as the slowest host, for as long as the command lives."""
    while True:
        again.clear()
        try:
            news.put(client.each_at_once(lambda url: _look(client, url, where)))
        except CliError as error:
            news.put(error.what)
        again.wait(POLL_S)


def _look(client: Any, url: str, where: list[tuple[str, str]]) -> Any:
    from meshkit_fastprobe.cli.top_state import HostSeen

    groups = client.one(url, "GET", "/groups", [*where, ("window", "1m")])
    if groups.envelope is None:
        return HostSeen(url, groups.problem, code=groups.code)
    worst: list[dict[str, Any]] = []
    for state in ("unhealthy", "degraded"):
        if any(item["states"].get(state) for item in groups.envelope["items"]):
            found = client.pages(url, "/probes", [*where, ("state", state)], WORST)
            worst += found.envelope["items"] if found.envelope is not None else []
    # A host without experiments, or a reader who may not know of them: there is nothing to tell.
    chaos = client.one(url, "GET", "/chaos/experiments", [])
    experiments = chaos.envelope["items"] if chaos.envelope is not None else []
    return HostSeen(groups.host, "", groups.envelope["items"], worst, experiments)


def _halt(client: Any, news: SimpleQueue[Any], again: Event) -> None:
    from meshkit_fastprobe.cli.wire import DOING_S

    answers = client.post("/chaos:halt", body={"reason": "halted from fastprobe top"}, answer_s=DOING_S)
    news.put(_halted(answers))
    again.set()


def _halted(answers: Sequence[Any]) -> str:
    """Who refused first. Who did not answer may have halted all the same: only a refusal is a no."""
    silent = [answer for answer in answers if answer.envelope is None]
    unsure = [f"{answer.url}: {answer.problem}" for answer in silent if answer.code is Exit.UNREACHABLE]
    refused = [f"{answer.url}: {answer.problem}" for answer in silent if answer.code is not Exit.UNREACHABLE]
    told = [f"{word}: {'; '.join(hosts)}" for word, hosts in (("NOT HALTED", refused), ("halt not confirmed", unsure)) if hosts]
    ended = sum(len(answer.envelope["item"]["runs"]) for answer in answers if answer.envelope is not None)
    return "; ".join(told) or f"all chaos is halted; {ended} runs were ended"


def _drain(queue: SimpleQueue[Any]) -> Iterator[Any]:
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return


@contextmanager
def _keys() -> Iterator[Iterator[list[str]]]:
    """Keys as they are pressed, those of a frame together; an escape sequence is one key. Gives the terminal back as it was."""
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield _pressed(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _pressed(terminal: int) -> Iterator[list[str]]:
    while True:
        ready, _, _ = select.select([terminal], [], [], FRAME_S)
        if not ready:
            yield []
            continue
        text = os.read(terminal, 1024).decode("utf-8", "replace")
        if not text:
            raise KeyboardInterrupt  # the terminal is gone
        yield [text] if text.startswith("\x1b") else list(text)
