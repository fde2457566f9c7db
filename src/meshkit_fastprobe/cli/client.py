"""Asking hosts: all of them at once, each answer an envelope or the reason why there is none."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

import msgspec

from meshkit_fastprobe.cli.contexts import Asked, asked
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.wire import NoAnswerError, Params, Reply, Wire

PREFIX: Final = "/meshkit/diagnostics/v1"
MAX_AT_ONCE: Final = 128
"""Hosts being asked. They wait, mostly: many dead ones among them should cost their timeout once, not one after the other."""
PAGE_SIZE: Final = 1000

R = TypeVar("R")


class Answer(msgspec.Struct):
    """What one host said: its envelope, or the problem."""

    url: str
    envelope: dict[str, Any] | None = None
    problem: str = ""
    next_step: str = ""
    code: Exit = Exit.WELL
    kind: str = ""
    """The problem's code, as the host gave it."""

    @property
    def host(self) -> str:
        return str(self.envelope["host"]) if self.envelope else self.url


class Client:
    """Every request goes to all hosts, at most MAX_AT_ONCE in flight.

    fleet: to all that the first of them to answer knows. It is asked for them here: CliError when it does not tell.
    """

    def __init__(self, hosts: Sequence[str], token_file: Path | None, *, fleet: bool = False) -> None:
        whom = asked(hosts, token_file)
        self.hosts = whom.hosts
        token = {"authorization": f"Bearer {whom.token}"} if whom.token else {}
        self.headers = {"accept": "application/msgpack", **token}
        encrypted = fleet or any(host.startswith("https:") for host in self.hosts)
        self.wire = Wire(tls_context(whom) if encrypted else None)
        self.on_page: Callable[[int], None] | None = None
        """Told how many items a page brought, from whichever thread."""
        if fleet:
            from meshkit_fastprobe.cli.members import all_known

            self.hosts = all_known(self, whom.token)

    def get(self, path: str, params: Params) -> list[Answer]:
        return self.each_at_once(lambda url: self.one(url, "GET", path, params))

    def post(
        self, path: str, params: Params | None = None, body: Mapping[str, Any] | None = None, answer_s: float | None = None
    ) -> list[Answer]:
        return self.each_at_once(lambda url: self.one(url, "POST", path, params or [], body, answer_s=answer_s))

    def get_all(self, path: str, params: Params, limit: int) -> list[Answer]:
        """Follow page tokens until `limit` items of each host have come."""
        return self.each_at_once(lambda url: self.pages(url, path, params, limit))

    def each_at_once(self, ask: Callable[[str], R]) -> list[R]:
        """What asking each host came to, in the order of the hosts."""
        return ask_each(self.hosts, ask)

    def pages(self, url: str, path: str, params: Params, limit: int) -> Answer:
        """Of one host, following its page tokens."""
        gathered: dict[str, Any] | None = None
        token: str | None = None
        while True:
            have = len(gathered["items"]) if gathered else 0
            page = [*params, ("page_size", min(PAGE_SIZE, limit - have))] + ([("page_token", token)] if token else [])
            answer = self.one(url, "GET", path, page)
            if answer.envelope is None:
                return answer
            if self.on_page is not None:
                self.on_page(len(answer.envelope["items"]))
            if gathered is None:
                gathered = answer.envelope
            else:
                gathered["items"].extend(answer.envelope["items"])
            token = answer.envelope.get("nextPageToken")
            if token is None or len(gathered["items"]) >= limit:
                gathered.pop("nextPageToken", None)
                if token is not None:
                    gathered["nextPageToken"] = token
                return Answer(url, gathered)

    def one(
        self,
        url: str,
        method: str,
        path: str,
        params: Params,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        answer_s: float | None = None,
    ) -> Answer:
        """One request to one host."""
        told = {**self.headers, **(headers or {})}
        try:
            reply = self.wire.ask(method, url, f"{PREFIX}{path}", params, told, body, answer_s)
        except NoAnswerError as error:
            next_step = f"is a host running there? start one with: fastprobe demo  (asked {url})"
            return Answer(url, None, str(error), next_step, Exit.UNREACHABLE)
        if reply.is_success:
            return _decode(url, reply)
        return refused(url, reply)


def tls_context(whom: Asked) -> ssl.SSLContext:
    """The authorities of this system or those that are named, and the certificate we come with."""
    try:
        context = ssl.create_default_context(cafile=whom.ca_file or None)
        if whom.cert_file:
            context.load_cert_chain(whom.cert_file, whom.key_file or None)
    except OSError as error:
        next_step = "look at ca_file, cert_file and key_file of the context, or at FASTPROBE_CA_FILE, _CERT_FILE and _KEY_FILE"
        raise CliError(f"cannot use the files for TLS: {error}", next_step) from None
    return context


def ask_each(hosts: Sequence[str], ask: Callable[[str], R]) -> list[R]:
    """All of them, at most MAX_AT_ONCE at a time; answers in the order of the hosts.

    Daemon threads: Ctrl-C does not wait for a host that says nothing.
    """
    if len(hosts) == 1:
        return [ask(hosts[0])]
    left: SimpleQueue[int] = SimpleQueue()
    for at in range(len(hosts)):
        left.put(at)
    answers: dict[int, R] = {}
    failures: list[Exception] = []

    def work() -> None:
        while not failures:
            try:
                at = left.get_nowait()
                answers[at] = ask(hosts[at])
            except Empty:
                return
            except Exception as error:  # noqa: BLE001 - raised again where the command runs
                failures.append(error)

    threads = [Thread(target=work, daemon=True) for _ in range(min(MAX_AT_ONCE, len(hosts)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [answers[at] for at in range(len(hosts))]


def _decode(url: str, reply: Reply) -> Answer:
    try:
        return Answer(url, msgspec.msgpack.decode(reply.body, type=dict[str, Any]))
    except (msgspec.DecodeError, msgspec.ValidationError):
        return Answer(url, None, "answered something that is no fastprobe payload", "is this the right port?", Exit.UNREACHABLE)


def refused(url: str, reply: Reply) -> Answer:
    """An answer that is an error, as its problem details tell it."""
    problem = _problem(reply)
    answer = _refused(url, reply, problem)
    answer.kind = str(problem.get("code", ""))
    return answer


def _refused(url: str, reply: Reply, problem: Mapping[str, Any]) -> Answer:
    what = str(problem.get("title") or problem.get("detail") or f"HTTP {reply.status}")
    if problem.get("code") in {"chaos_refused", "chaos_wrong_phase", "confirmation_refused"}:
        return Answer(url, None, str(problem.get("detail") or what), str(problem.get("hint", "")), Exit.REFUSED)
    if reply.status in {401, 403}:
        hint = str(problem.get("hint", "")) or "set FASTPROBE_TOKEN or --token-file to the host's <state_dir>/local-token"
        return Answer(url, None, what, hint, Exit.REFUSED)
    if problem.get("code") == "unknown_probe":
        return Answer(
            url, None, str(problem.get("detail") or what), "list them with: fastprobe probes list -o name", Exit.USAGE
        )
    code = Exit.USAGE if reply.status < 500 else Exit.UNREACHABLE
    return Answer(url, None, str(problem.get("detail") or what), str(problem.get("hint", "")), code)


def _problem(reply: Reply) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(reply.body, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
