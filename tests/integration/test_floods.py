"""Visitors who mean harm by HTTP/2: they are left, and everybody else goes on as if they were not there."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.settings
import httpx
import pytest
import trio

import meshkit_fastprobe as fp

pytestmark = pytest.mark.integration

PATH = "/meshkit/diagnostics/v1/probes"
FRAMES = 20_000


def send_some(connection, kind, token):
    if kind == "reset":
        stream = connection.get_next_available_stream_id()
        headers = [(":method", "GET"), (":path", PATH), (":scheme", "http"), (":authority", "127.0.0.1")]
        connection.send_headers(stream, [*headers, ("authorization", f"Bearer {token}")], end_stream=True)
        connection.reset_stream(stream)
    elif kind == "settings":
        connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
    else:
        connection.ping(b"12345678")


async def flood(address, kind, token):
    """How many frames went out before the host had enough."""
    host, _, port = address.rpartition(":")
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    async with await trio.open_tcp_stream(host, int(port)) as stream, trio.open_nursery() as nursery:

        async def listen():
            try:
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass

        nursery.start_soon(listen)
        for sent in range(FRAMES):
            send_some(connection, kind, token)
            try:
                await stream.send_all(connection.data_to_send())
            except trio.BrokenResourceError:
                nursery.cancel_scope.cancel()
                return sent
        nursery.cancel_scope.cancel()
    return FRAMES


@pytest.mark.parametrize("kind", ["reset", "settings", "ping"])
async def test_a_flood_of_frames_ends_its_own_connection_and_nothing_else(kind):
    diag = fp.Diagnostics(fp.Settings(host="cp-1", server=fp.ServerSettings(listen="127.0.0.1:0")))
    for number in range(20):
        diag.add(fp.TcpProbe("127.0.0.1:9"), name=f"p{number}", interval=0.1, timeout=0.05)
    with trio.fail_after(60):
        async with diag:
            headers = {"authorization": f"Bearer {diag.local_token}"}
            async with httpx.AsyncClient(headers=headers, timeout=20) as client, trio.open_nursery() as nursery:
                sent = []

                async def attack():
                    sent.append(await flood(diag.address, kind, diag.local_token))
                    nursery.cancel_scope.cancel()

                nursery.start_soon(attack)
                while not sent:
                    response = await client.get(f"http://{diag.address}{PATH}?page_size=5")
                    assert response.status_code == 200
                    await trio.sleep(0.01)
            assert sent[0] < FRAMES / 2
            runs = diag.snapshot().totals.runs
            while diag.snapshot().totals.runs <= runs:
                await trio.sleep(0.01)


async def test_a_busy_client_is_no_flood():
    diag = fp.Diagnostics(fp.Settings(host="cp-1", server=fp.ServerSettings(listen="127.0.0.1:0")))
    async with diag:
        headers = {"authorization": f"Bearer {diag.local_token}"}
        async with httpx.AsyncClient(headers=headers, http1=False, http2=True, timeout=20) as client:
            for _ in range(300):
                response = await client.get(f"http://{diag.address}{PATH}")
                assert (response.status_code, response.http_version) == (200, "HTTP/2")
