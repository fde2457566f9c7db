"""Following the events of hosts: a thread each, told in the order they come; a stream that breaks is taken up where it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

import msgspec
import typer

from meshkit_fastprobe.cli.client import PREFIX, Client, refused
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form
from meshkit_fastprobe.cli.reading import _worst_code
from meshkit_fastprobe.cli.wire import NoAnswerError, Params, Reply

SILENCE_S: Final = 60.0
"""The host says something every 15 s: after this it is gone."""
AGAIN_S: Final = 2.0
MAX_FOLLOWED: Final = 1_000
"""Hosts, each with a thread and a connection."""


class Told(msgspec.Struct, frozen=True):
    """One event of one host; event "problem": the stream broke, for the reason in its message, and what that is as a code."""

    host: str
    event: str
    data: dict[str, Any]
    code: Exit = Exit.WELL


class _Known:
    """What a stream told of itself: who its host is, and where to take it up again."""

    def __init__(self, url: str) -> None:
        self.host = url
        self.last_id = ""


def follow(client: Client, params: Params, output: Form) -> int:
    """Until Ctrl-C. CliError when the only host does not answer, or when all refuse: then there is nothing to wait for."""
    told = listen(client, params)
    left, several = len(client.hosts), len(client.hosts) > 1
    codes: set[Exit] = set()
    try:
        while True:
            heard = told.get()
            codes.add(heard.code)
            if isinstance(heard, Told):
                _write(heard, output, several=several)
                continue
            left -= 1
            if not left:
                raise CliError(heard.what, heard.next_step, Exit(_worst_code(codes, unhealthy=False)))
    except KeyboardInterrupt:
        return _worst_code(codes, unhealthy=False) if several else Exit.WELL


def listen(client: Client, params: Params) -> SimpleQueue[Told | CliError]:
    """What all hosts tell from now on. A CliError ends the stream of a host that refuses, or of the only one, never reached."""
    if len(client.hosts) > MAX_FOLLOWED:
        raise CliError(f"{len(client.hosts):,} hosts cannot be followed at once", f"name at most {MAX_FOLLOWED:,}")
    told: SimpleQueue[Told | CliError] = SimpleQueue()
    alone = len(client.hosts) == 1
    for url in client.hosts:
        Thread(target=_follow_one, args=(client, url, params, told), kwargs={"alone": alone}, daemon=True).start()
    return told


def _follow_one(client: Client, url: str, params: Params, told: SimpleQueue[Told | CliError], *, alone: bool) -> None:
    known = _Known(url)
    while True:
        try:
            for one in _stream(client, url, params, known):
                told.put(one)
            problem = ""
        except CliError as error:
            if not alone:  # then it is what ends the command, and told by that
                told.put(Told(known.host, "problem", {"message": error.what}, error.code))
            told.put(error)
            return
        except NoAnswerError as error:
            problem = str(error)
            if alone and not known.last_id:
                next_step = "is a host running there? start one with: fastprobe demo"
                told.put(CliError(f"{url}: {problem}", next_step, Exit.UNREACHABLE))
                return
        if problem:
            told.put(Told(known.host, "problem", {"message": f"{problem}; trying again"}, Exit.UNREACHABLE))
        time.sleep(AGAIN_S)


def _stream(client: Client, url: str, params: Params, known: _Known) -> Iterator[Told]:
    again = {"last-event-id": known.last_id} if known.last_id else {}
    headers = {**client.headers, "accept": "text/event-stream", **again}
    lines = client.wire.lines(url, f"{PREFIX}/events", params, headers, SILENCE_S)
    if isinstance(lines, Reply):
        answer = refused(url, lines)
        raise CliError(answer.problem, answer.next_step, answer.code)
    for fields in _events(lines):
        data = msgspec.json.decode(fields["data"], type=dict[str, Any])
        known.last_id = fields["id"]
        if fields["event"] == "hello":
            known.host = str(data.get("host", url))
        else:
            yield Told(known.host, fields["event"], data)


def _events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif {"event", "id", "data"} <= fields.keys():
            yield fields
            fields = {}


def _write(told: Told, output: Form, *, several: bool) -> None:
    if output is Form.json:
        typer.echo(msgspec.json.encode({"event": told.event, "host": told.host, **told.data}))
        return
    where = f"{told.host}  " if several else ""
    typer.echo(f"{where}{line_of(told.event, told.data)}", err=told.event == "problem")


def line_of(event: str, data: dict[str, Any]) -> str:
    """An event as a person reads it."""
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
            return "the token is good no longer" if data.get("reason") == "identity" else "the host has ended the stream"
        case _:
            return str(data.get("message", event))
