"""Asking hosts: several at once, each answer an envelope or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

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
        self._headers = {"accept": "application/msgpack"} | ({"authorization": f"Bearer {token}"} if token else {})

    def get(self, path: str, params: Params) -> list[Answer]:
        return self._ask("GET", path, params)

    def post(self, path: str, params: Params | None = None) -> list[Answer]:
        return self._ask("POST", path, params or [])

    def get_all(self, path: str, params: Params, limit: int) -> list[Answer]:
        """Follow page tokens until `limit` items of each host have come."""
        with ThreadPoolExecutor(MAX_AT_ONCE) as pool:
            return list(pool.map(lambda url: self._pages(url, path, params, limit), self.hosts))

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
        if len(self.hosts) == 1:
            return [self._one(self.hosts[0], method, path, params)]
        with ThreadPoolExecutor(MAX_AT_ONCE) as pool:
            return list(pool.map(lambda url: self._one(url, method, path, params), self.hosts))

    def _one(self, url: str, method: str, path: str, params: Params) -> Answer:
        try:
            response = httpx.request(
                method,
                f"{url}{PREFIX}{path}",
                params=httpx.QueryParams(list(params)),
                headers=self._headers,
                timeout=TIMEOUT_S,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            return Answer(
                url,
                None,
                _why(error),
                f"is a host running there? start one with: fastprobe demo  (asked {url})",
                Exit.UNREACHABLE,
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise CliError(f"{url!r} is not a host URL: {error}", "write http://HOST:PORT") from None
        if response.is_success:
            return _decode(url, response)
        return _refused(url, response)


def _url(host: str) -> str:
    return (host if "://" in host else f"http://{host}").rstrip("/")


def _why(error: httpx.HTTPError) -> str:
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


def _refused(url: str, response: httpx.Response) -> Answer:
    problem = _problem(response)
    what = str(problem.get("title") or problem.get("detail") or f"HTTP {response.status_code}")
    if response.status_code in {401, 403}:
        hint = str(problem.get("hint", "")) or "set FASTPROBE_TOKEN or --token-file to the host's <state_dir>/local-token"
        return Answer(url, None, what, hint, Exit.REFUSED)
    code = Exit.USAGE if response.status_code < 500 else Exit.UNREACHABLE
    return Answer(url, None, str(problem.get("detail") or what), str(problem.get("hint", "")), code)


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
