"""Asking hosts: several at once, each answer an envelope or the reason why there is none."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.places import find_token

PREFIX: Final = "/meshkit/diagnostics/v1"
DEFAULT_HOST: Final = "http://127.0.0.1:9464"
MAX_AT_ONCE: Final = 16
TIMEOUT_S: Final = 10.0
PAGE_SIZE: Final = 1000

Params = list[tuple[str, str | int | float | bool | None]]


class Answer(msgspec.Struct):
    """What one host said: its envelope, or the problem."""

    url: str
    envelope: dict[str, Any] | None = None
    problem: str = ""
    next_step: str = ""
    code: Exit = Exit.WELL

    @property
    def host(self) -> str:
        return str(self.envelope["host"]) if self.envelope else self.url


class Client:
    """Every request goes to all hosts, at most MAX_AT_ONCE in flight."""

    def __init__(self, hosts: Sequence[str], token_file: Path | None) -> None:
        self.hosts = [_url(host) for host in hosts] or [DEFAULT_HOST]
        token = find_token(token_file)
        self.headers = {"accept": "application/msgpack"} | ({"authorization": f"Bearer {token}"} if token else {})
        self.verify = tls_context() if any(host.startswith("https:") for host in self.hosts) else False
        """What https hosts have to show, and what we show them."""

    def get(self, path: str, params: Params) -> list[Answer]:
        return self._ask("GET", path, params)

    def post(self, path: str, params: Params | None = None, body: Mapping[str, Any] | None = None) -> list[Answer]:
        return ask_each(self.hosts, lambda url: self._one(url, "POST", path, params or [], body))

    def put(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> list[Answer]:
        return ask_each(self.hosts, lambda url: self._one(url, "PUT", path, [], body, headers))

    def each(self) -> Iterator[Client]:
        """One after the other, for what depends on how a host stands."""
        for host in self.hosts:
            alone = copy(self)
            alone.hosts = [host]
            yield alone

    def get_all(self, path: str, params: Params, limit: int) -> list[Answer]:
        """Follow page tokens until `limit` items of each host have come."""
        return ask_each(self.hosts, lambda url: self._pages(url, path, params, limit))

    def those_of(self, answers: Sequence[Answer]) -> Client:
        """One that asks only the hosts that answered: a dead one costs its timeout once."""
        fewer = copy(self)
        fewer.hosts = [answer.url for answer in answers if answer.envelope is not None]
        return fewer

    def _pages(self, url: str, path: str, params: Params, limit: int) -> Answer:
        gathered: dict[str, Any] | None = None
        token: str | None = None
        while True:
            have = len(gathered["items"]) if gathered else 0
            page = [*params, ("page_size", str(min(PAGE_SIZE, limit - have)))] + ([("page_token", token)] if token else [])
            answer = self._one(url, "GET", path, page)
            if answer.envelope is None:
                return answer
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

    def _ask(self, method: str, path: str, params: Params) -> list[Answer]:
        return ask_each(self.hosts, lambda url: self._one(url, method, path, params))

    def _one(
        self,
        url: str,
        method: str,
        path: str,
        params: Params,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            response = httpx.request(
                method,
                f"{url}{PREFIX}{path}",
                params=httpx.QueryParams(list(params)),
                headers={**self.headers, **(headers or {})},
                json=body,
                verify=self.verify,
                timeout=TIMEOUT_S,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            return Answer(
                url,
                None,
                why(error),
                f"is a host running there? start one with: fastprobe demo  (asked {url})",
                Exit.UNREACHABLE,
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise CliError(f"{url!r} is not a host URL: {error}", "write http://HOST:PORT") from None
        if response.is_success:
            return _decode(url, response)
        return refused(url, response)


def tls_context() -> ssl.SSLContext:
    """The authorities of this system, or $FASTPROBE_CA_FILE; we come with $FASTPROBE_CERT_FILE and $FASTPROBE_KEY_FILE."""
    authority, cert = os.environ.get("FASTPROBE_CA_FILE"), os.environ.get("FASTPROBE_CERT_FILE")
    try:
        context = ssl.create_default_context(cafile=authority)
        if cert:
            context.load_cert_chain(cert, os.environ.get("FASTPROBE_KEY_FILE"))
    except OSError as error:
        named = "FASTPROBE_CA_FILE, FASTPROBE_CERT_FILE and FASTPROBE_KEY_FILE"
        raise CliError(f"cannot use the files for TLS: {error}", f"look at {named}") from None
    return context


def ask_each(hosts: Sequence[str], ask: Callable[[str], Answer]) -> list[Answer]:
    """All of them, at most MAX_AT_ONCE at a time; answers in the order of the hosts.

    Daemon threads: Ctrl-C does not wait for a host that says nothing.
    """
    if len(hosts) == 1:
        return [ask(hosts[0])]
    left: SimpleQueue[int] = SimpleQueue()
    for at in range(len(hosts)):
        left.put(at)
    answers: dict[int, Answer] = {}
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


def _url(host: str) -> str:
    """The base of every request. CliError for what is no http URL of a host: httpx would ask port 99999 at 34463."""
    url = (host if "://" in host else f"http://{host}").rstrip("/")
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not re.search(r"[\s?#]", url)
    except ValueError:
        whole = False
    if not whole:
        raise CliError(f"--host: {host!r} is not the URL of a host", "write http://HOST:PORT")
    return url


def why(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {TIMEOUT_S:.0f} s"
    if isinstance(error, httpx.ConnectError):
        return "connection refused" if "refused" in str(error) else f"cannot connect: {error}"
    return str(error) or type(error).__name__


def _decode(url: str, response: httpx.Response) -> Answer:
    try:
        return Answer(url, msgspec.msgpack.decode(response.content, type=dict[str, Any]))
    except (msgspec.DecodeError, msgspec.ValidationError):
        return Answer(url, None, "answered something that is no fastprobe payload", "is this the right port?", Exit.UNREACHABLE)


def refused(url: str, response: httpx.Response) -> Answer:
    problem = _problem(response)
    what = str(problem.get("title") or problem.get("detail") or f"HTTP {response.status_code}")
    if problem.get("code") in {"chaos_refused", "chaos_wrong_phase", "confirmation_refused"}:
        return Answer(url, None, str(problem.get("detail") or what), str(problem.get("hint", "")), Exit.REFUSED)
    if response.status_code in {401, 403}:
        hint = str(problem.get("hint", "")) or "set FASTPROBE_TOKEN or --token-file to the host's <state_dir>/local-token"
        return Answer(url, None, what, hint, Exit.REFUSED)
    if problem.get("code") == "unknown_probe":
        return Answer(
            url, None, str(problem.get("detail") or what), "list them with: fastprobe probes list -o name", Exit.USAGE
        )
    code = Exit.USAGE if response.status_code < 500 else Exit.UNREACHABLE
    return Answer(url, None, str(problem.get("detail") or what), str(problem.get("hint", "")), code)


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
