"""Following the events of hosts: a thread each, lines in the order they come; a stream that breaks is taken up where it was."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

import httpx
import msgspec
import typer

from meshkit_fastprobe.cli.client import PREFIX, Client, refused, why
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form

SILENCE_S: Final = 60.0
"""The host says something every 15 s: after this it is gone."""
AGAIN_S: Final = 2.0

Told = tuple[str, str, dict[str, Any]]
"""host, event, data."""


def follow(client: Client, params: Sequence[tuple[str, str]], output: Form) -> int:
    """Until Ctrl-C. CliError when the only host does not answer, or refuses."""
    told: SimpleQueue[Told | CliError] = SimpleQueue()
    for url in client.hosts:
        Thread(target=_follow_one, args=(client, url, params, told, len(client.hosts) == 1), daemon=True).start()
    try:
        while True:
            heard = told.get()
            if isinstance(heard, CliError):
                raise heard
            _write(heard, output, several=len(client.hosts) > 1)
    except KeyboardInterrupt:
        return Exit.WELL


def _follow_one(
    client: Client, url: str, params: Sequence[tuple[str, str]], told: SimpleQueue[Told | CliError], alone: bool
) -> None:
    last_id = ""
    first = True
    while True:
        try:
            for event, at, data in _stream(client, url, params, last_id):
                first, last_id = False, at
                if event != "hello":
                    told.put((url, event, data))
        except CliError as error:
            if alone:
                told.put(error)
                return
            told.put((url, "problem", {"message": error.what}))
        except (httpx.HTTPError, OSError) as error:
            problem = why(error) if isinstance(error, httpx.HTTPError) else str(error)
            if alone and first:
                told.put(
                    CliError(f"{url}: {problem}", "is a host running there? start one with: fastprobe demo", Exit.UNREACHABLE)
                )
                return
            told.put((url, "problem", {"message": f"{problem}; trying again"}))
        time.sleep(AGAIN_S)


def _stream(
    client: Client, url: str, params: Sequence[tuple[str, str]], last_id: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    headers = {**client.headers, "accept": "text/event-stream"} | ({"last-event-id": last_id} if last_id else {})
    timeout = httpx.Timeout(10.0, read=SILENCE_S)
    with (
        httpx.Client(verify=client.verify, timeout=timeout, trust_env=False) as http,
        http.stream("GET", f"{url}{PREFIX}/events", params=httpx.QueryParams(list(params)), headers=headers) as response,
    ):
        if not response.is_success:
            response.read()
            answer = refused(url, response)
            raise CliError(answer.problem, answer.next_step, answer.code)
        fields: dict[str, str] = {}
        for line in response.iter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield fields["event"], fields["id"], msgspec.json.decode(fields["data"], type=dict[str, Any])
                fields = {}


def _write(told: Told, output: Form, *, several: bool) -> None:
    host, event, data = told
    if output is Form.json:
        typer.echo(msgspec.json.encode({"event": event, "host": host, **data}))
        return
    where = f"{host}  " if several else ""
    typer.echo(f"{where}{_line(event, data)}", err=event == "problem")


def _line(event: str, data: dict[str, Any]) -> str:
    match event:
        case "transition":
            why_so = f": {data['message']}" if data.get("message") else ""
            flaps = "; it flaps" if data.get("flapping") else ""
            return f"{data['at']}  {data['name']}  {data['before']} -> {data['after']}{why_so}{flaps}"
        case "toggle":
            value = data["value"] if isinstance(data["value"], str) else "on" if data["value"] else "off"
            return f"{data.get('changedAt', '')}  {data['name']} is {value}, by {data.get('changedBy', '')}"
        case "audit":
            return f"audit: record {data['seq']}, {data['mac']}"
        case "gap":
            return f"{data.get('missed', 'some')} events were missed"
        case "end":
            return "the host has ended the stream"
        case _:
            return str(data.get("message", event))
