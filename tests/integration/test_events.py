"""The stream of events of a running host, over real sockets, read as any client would."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import h11
import httpx
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import Binding, Scope, SecuritySettings

pytestmark = pytest.mark.integration

PATH = "/meshkit/diagnostics/v1/events"


@asynccontextmanager
async def host(drain_s=0.0, **changes):
    server = fp.ServerSettings(listen="127.0.0.1:0", drain_s=drain_s)
    diag = fp.Diagnostics(fp.Settings(host="cp-1", cluster="eu-1", server=server, **changes))

    def passive() -> None:
        """Never run: reports alone move it."""

    for name, namespace in (("a", "orders"), ("b", "pay")):
        diag.add(passive, name=name, namespace=namespace, interval=3600, timeout=1, initial_delay=3600, rise=1, fall=1)
    async with diag:
        yield diag


class Stream:
    """An answer that does not end, over h11: httpx leaves its generators to the collector when one stops reading."""

    def __init__(self, socket: trio.SocketStream) -> None:
        self._socket = socket
        self._http = h11.Connection(h11.CLIENT)
        self._text = ""

    async def ask(self, target, headers):
        request = h11.Request(method="GET", target=target, headers=headers)
        await self._socket.send_all(self._http.send(request) + self._http.send(h11.EndOfMessage()))
        return await self._event()

    async def next(self):
        """(event, id, data) of the next event; comments are passed over."""
        while True:
            while "\n\n" not in self._text:
                event = await self._event()
                if type(event) is h11.EndOfMessage:
                    raise EOFError
                self._text += event.data.decode()
            block, _, self._text = self._text.partition("\n\n")
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if fields:
                return fields["event"], fields["id"], json.loads(fields["data"])

    async def _event(self):
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._socket.receive_some())
        return event


@asynccontextmanager
async def follow(diag, query="", **headers):
    host, _, port = diag.address.rpartition(":")
    headers = {"host": diag.address, "authorization": f"Bearer {diag.local_token}", **headers}
    with trio.fail_after(30):
        async with await trio.open_tcp_stream(host, int(port)) as socket:
            stream = Stream(socket)
            response = await stream.ask(PATH + query, list(headers.items()))
            assert response.status_code == 200
            assert (b"content-type", b"text/event-stream") in response.headers
            yield stream


async def test_a_transition_is_told_as_it_happens():
    async with host() as diag, follow(diag) as stream:
        assert (await stream.next())[0] == "hello"
        diag.report("a", ok=False)
        event, _, data = await stream.next()
    assert event == "transition"
    assert (data["name"], data["namespace"], data["before"], data["after"]) == ("a", "orders", "unknown", "unhealthy")
    assert data["reason"] == "reported"


async def test_filters_choose_and_ids_resume():
    async with host() as diag:
        async with follow(diag, "?types=transition&namespace=pay") as stream:
            await stream.next()
            diag.report("a", ok=False)
            diag.report("b", ok=False)
            _, at, data = await stream.next()
            assert data["name"] == "b"
        diag.report("b", ok=True)
        while diag.view("b").state is not fp.State.HEALTHY:
            await trio.sleep(0.01)
        async with follow(diag, "?types=transition", **{"last-event-id": at}) as stream:
            assert (await stream.next())[0] == "hello"
            _, _, data = await stream.next()
            assert (data["name"], data["after"]) == ("b", "healthy")


async def test_an_id_of_another_life_is_answered_by_a_gap():
    async with host() as diag, follow(diag, **{"last-event-id": "deadbeef-7"}) as stream:
        assert (await stream.next())[0] == "hello"
        assert (await stream.next())[0] == "gap"


async def test_a_reader_sees_only_what_it_may_read():
    security = SecuritySettings(local_role="", bindings=(Binding("local", "viewer", scope=Scope(namespace="pay")),))
    async with host(security=security) as diag, follow(diag) as stream:
        await stream.next()
        diag.report("a", ok=False)
        diag.report("b", ok=False)
        _, _, data = await stream.next()
        assert data["name"] == "b"


async def test_who_may_read_the_audit_is_told_of_its_head():
    async with host() as diag, follow(diag) as stream:
        await stream.next()
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {diag.local_token}"}, timeout=30) as client:
            url = f"http://{diag.address}/meshkit/diagnostics/v1/probes/a:pause"
            assert (await client.post(url)).status_code == 200
        event, _, data = await stream.next()
        assert (event, data["seq"], data["mac"]) == ("audit", 1, diag.endpoints.audit.head.mac.hex())


async def test_leaving_ends_streams_orderly_and_readiness_first():
    heard = []
    async with trio.open_nursery() as nursery:
        listening = trio.Event()

        async def read(diag):
            async with follow(diag) as stream:
                heard.append((await stream.next())[0])
                listening.set()
                heard.append((await stream.next())[0])
                with pytest.raises(EOFError):
                    await stream.next()

        async with host() as diag:
            nursery.start_soon(read, diag)
            await listening.wait()
        assert not diag.ready
    assert heard == ["hello", "end"]


async def test_readiness_is_gone_for_as_long_as_it_drains_while_everything_is_answered():
    told = {}

    async def look(diag, leaving):
        headers = {"authorization": f"Bearer {diag.local_token}"}
        address = f"http://{diag.address}"
        while diag.ready:
            await trio.sleep(0.01)
        async with httpx.AsyncClient(headers=headers, timeout=20) as client:
            told["ready"] = (await client.get(f"{address}/readyz")).status_code
            told["pause"] = (await client.post(f"{address}/meshkit/diagnostics/v1/probes/a:pause")).status_code
        leaving.cancel()  # who stops it a second time waits no longer

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as leaving:
                async with host(drain_s=300.0) as diag:
                    nursery.start_soon(look, diag, leaving)
    assert told == {"ready": 503, "pause": 200}


async def test_a_request_in_flight_is_answered_before_the_host_leaves():
    async with trio.open_nursery() as nursery:
        answers = []
        async with host() as diag:
            begun = trio.Event()

            @diag.probe("slow", interval=3600, timeout=5, initial_delay=3600)
            async def slow() -> None:
                begun.set()
                await trio.sleep(0.5)

            async def run():
                async with httpx.AsyncClient(headers={"authorization": f"Bearer {diag.local_token}"}, timeout=20) as client:
                    answers.append(await client.post(f"http://{diag.address}/meshkit/diagnostics/v1/probes/slow:run"))

            nursery.start_soon(run)
            await begun.wait()
    assert [answer.status_code for answer in answers] == [200]
    assert answers[0].json()["item"]["result"] == "ok"


async def test_unknown_types_are_refused_by_name():
    async with host() as diag:
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {diag.local_token}"}, timeout=30) as client:
            response = await client.get(f"http://{diag.address}{PATH}?types=weather")
        assert response.status_code == 400
        assert "transition" in response.json()["hint"]
