"""HTTP/3 on the host's port, over real UDP sockets: the same answers, and visitors who mean no good."""

from __future__ import annotations

import random
import socket

import httpx
import msgspec
import pytest
import trio
from aioquic.h3.connection import ErrorCode
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from joserfc import jwk

import meshkit_fastprobe as fp
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.server.http3 import connection as connections
from meshkit_fastprobe.server.http3 import endpoint as endpoints
from meshkit_fastprobe.server.routes import ROUTES
from tests.integration.http3_client import http3_client, trusting
from tests.integration.security.conftest import World

pytestmark = pytest.mark.integration

PREFIX = "/meshkit/diagnostics/v1"
JSON = msgspec.json.decode


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def host(world, probes=3, **changes):
    diag = fp.Diagnostics(world.settings(**changes))
    for number in range(probes):
        diag.add(fp.TcpProbe("127.0.0.1:9"), name=f"p{number:05}", namespace="orders", interval=3600, timeout=1)
    return diag


def bearer(world, name="anna", **claims):
    return [("authorization", f"Bearer {world.token(name, **claims)}")]


async def test_the_same_port_answers_over_http3_and_says_so_over_the_others(world):
    diag = host(world)
    async with diag:
        headers = dict(bearer(world))
        async with httpx.AsyncClient(verify=world.client_context(), http2=True, headers=headers, timeout=30) as http:
            over_2 = await http.get(f"https://{diag.address}{PREFIX}/probes")
        async with http3_client(diag.address, trusting(world.authority)) as client:
            over_3 = await client.ask("GET", f"{PREFIX}/probes", bearer(world))
            ready = await client.ask("GET", "/readyz")
    port = diag_port(over_2)
    assert over_2.headers["alt-svc"] == f'h3=":{port}"; ma=3600'
    assert (over_3.status, ready.status, ready.body) == (200, 200, b"ready\n")
    assert JSON(over_3.body)["items"] == over_2.json()["items"]
    [asked] = [asked for asked in diag.endpoints.requests.counts if asked.protocol == "3" and asked.route == "/probes"]
    assert asked.status == 200


def diag_port(response):
    return response.url.port


async def test_a_head_has_no_body_and_a_change_goes_through(world):
    diag = host(world)
    async with diag, http3_client(diag.address, trusting(world.authority)) as client:
        head = await client.ask("HEAD", "/readyz")
        assert (head.status, head.body) == (200, b"")
        paused = await client.ask("POST", f"{PREFIX}/probes/p00001:pause", bearer(world))
        assert JSON(paused.body)["item"]["state"] == "paused"
        wrong = await client.ask("PUT", f"{PREFIX}/toggles/log.level", bearer(world), body=b'{"value": "debug"}')
        assert (wrong.status, JSON(wrong.body)["code"]) == (403, "forbidden")


async def test_every_route_refuses_every_bad_identity(world):
    stranger = jwk.ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"})
    bad = [
        [],
        bearer(world, exp=1),
        bearer(world, aud="billing"),
        bearer(world, key=stranger),
        bearer(world, key=jwk.OctKey.import_key("a" * 32), alg="HS256"),
        [("authorization", f"Bearer {world.token()[:-4]}AAAA")],
    ]
    diag = host(world)
    async with diag, http3_client(diag.address, trusting(world.authority)) as client:
        for spec in ROUTES:
            if spec.permission is None:
                continue
            path = (PREFIX if spec.resource else "") + spec.path.replace("{name}", "p00000")
            for headers in bad:
                answer = await client.ask(spec.method, path, headers)
                assert answer.status == 401, (path, headers)
            assert (await client.ask(spec.method, path, bearer(world, "nobody"))).status in {403, 404}, path


async def test_grpc_is_answered_there_the_same_way(world):
    diag = host(world)
    headers = [*bearer(world), ("content-type", "application/grpc"), ("te", "trailers")]
    async with diag, http3_client(diag.address, trusting(world.authority)) as client:
        answer = await client.ask("POST", "/grpc.health.v1.Health/Check", headers, body=bytes(5))
    assert (answer.status, answer.trailers["grpc-status"], answer.body) == (200, "0", b"\0\0\0\0\x02\x08\x01")


async def test_a_long_listing_comes_whole_and_events_end_with_where_to_go_on(world):
    diag, leave = host(world, probes=5000), trio.Event()

    async def live(task_status):
        async with diag:
            task_status.started()
            await leave.wait()

    async with trio.open_nursery() as nursery:
        await nursery.start(lambda *, task_status: live(task_status))
        async with http3_client(diag.address, trusting(world.authority)) as client:
            answer = await client.ask("GET", f"{PREFIX}/probes?page_size=5000", bearer(world))
            assert len(JSON(answer.body)["items"]) == 5000
            events = client.answers[await client.begin("GET", f"{PREFIX}/events", bearer(world))]
            await client.until(lambda: b"event: hello" in events.body)
            leave.set()
            await client.until(lambda: events.ended)
            assert b"event: end" in events.body


async def test_a_reader_who_takes_nothing_makes_the_host_keep_next_to_nothing(world):
    """aioquic buffers without a bound: what is waited for is ours."""
    diag = host(world, probes=5000)
    async with diag, http3_client(diag.address, trusting(world.authority), window=16_384) as client:
        client.h3._quic._local_max_data.value = 16_384  # and never more: credit is given back to nobody
        client.hold = False
        stream = await client.begin("GET", f"{PREFIX}/probes?page_size=5000", bearer(world))
        await client.until(lambda: client.answers[stream].headers)
        client.hold = True
        with trio.fail_after(20):
            while not (kept := _kept(stream)):
                await trio.sleep(0.05)
        await trio.sleep(0.5)
        kept = _kept(stream)
        async with http3_client(diag.address, trusting(world.authority)) as other:
            assert (await other.ask("GET", "/readyz")).status == 200
        client.hold = False
    assert 0 < kept < 512 * 1024, kept


def _kept(stream):
    """Bytes that the server side holds for this stream, found where aioquic keeps them."""
    import gc

    served = [one for one in gc.get_objects() if isinstance(one, connections.Connection) and stream in one.requests]
    return max((len(one.quic._streams[stream].sender._buffer) for one in served if stream in one.quic._streams), default=0)


async def test_a_visitor_who_resets_a_request_is_no_longer_answered(world):
    diag = host(world)
    async with diag, http3_client(diag.address, trusting(world.authority)) as client:
        stream = await client.begin("GET", f"{PREFIX}/events", bearer(world))
        await client.until(lambda: b"hello" in client.answers[stream].body)
        client.quic.stop_stream(stream, ErrorCode.H3_REQUEST_CANCELLED)
        await client.flush()
        counted = diag.endpoints.requests.counts
        with trio.fail_after(20):
            while not [asked for asked in counted if asked.route == "/events"]:
                await trio.sleep(0.02)
        assert (await client.ask("GET", "/readyz")).status == 200


async def test_only_so_many_requests_are_open_at_once(world):
    diag = host(world)
    async with diag, http3_client(diag.address, trusting(world.authority)) as client:
        streams = [await client.begin("GET", f"{PREFIX}/events", bearer(world)) for _ in range(40)]
        answers = [client.answers[stream] for stream in streams]
        await client.until(lambda: all(answer.body or answer.reset is not None for answer in answers))
    assert [answer.reset for answer in answers] == [None] * 32 + [ErrorCode.H3_REQUEST_REJECTED] * 8


async def test_headers_without_an_end_and_bodies_that_nobody_reads_end_that_request_alone(world):
    diag = host(world)
    async with diag:
        async with http3_client(diag.address, trusting(world.authority)) as client:
            stream = client.quic.get_next_available_stream_id()
            client.quic.send_stream_data(stream, b"\x01\x80\x04\x00\x00" + bytes(120_000))  # HEADERS of 256 KiB, never whole
            await client.flush()
            with trio.fail_after(30):
                while client.terminated is None:
                    await trio.sleep(0.02)
            assert client.terminated.error_code == ErrorCode.H3_EXCESSIVE_LOAD
        async with http3_client(diag.address, trusting(world.authority)) as client:
            assert (await client.ask("GET", "/readyz")).status == 200


async def test_garbage_harms_nobody(world):
    dice = random.Random(3)
    diag = host(world)
    async with diag:
        name, _, port = diag.address.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(500):
                size = dice.choice([0, 1, 20, 1200, 1400])
                sock.sendto(dice.randbytes(size), (name, int(port)))
            initial = _initial((name, int(port)))
            for _ in range(300):
                torn = bytearray(initial)
                for _ in range(dice.randrange(1, 20)):
                    torn[dice.randrange(len(torn))] = dice.randrange(256)
                sock.sendto(bytes(torn), (name, int(port)))
                await trio.lowlevel.checkpoint()
        async with http3_client(diag.address, trusting(world.authority)) as client:
            assert (await client.ask("GET", "/readyz")).status == 200


def _initial(address):
    quic = QuicConnection(configuration=QuicConfiguration(is_client=True, alpn_protocols=["h3"]))
    quic.connect(address, now=0.0)
    return quic.datagrams_to_send(now=0.0)[0][0]


async def test_from_some_number_on_a_visitor_shows_first_that_it_is_there(world, monkeypatch):
    monkeypatch.setattr(endpoints, "RETRY_FROM", 0)
    diag = host(world)
    async with diag, http3_client(diag.address, trusting(world.authority)) as client:
        assert client.quic._retry_count == 1
        assert (await client.ask("GET", "/readyz")).status == 200


async def test_no_more_visitors_than_the_bound(world, monkeypatch):
    monkeypatch.setattr(endpoints, "MAX_VISITORS", 1)
    diag = host(world)
    async with diag, http3_client(diag.address, trusting(world.authority)) as client:
        name, _, port = diag.address.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(_initial((name, int(port))), (name, int(port)))
            assert (await client.ask("GET", "/readyz")).status == 200
            with pytest.raises(BlockingIOError):
                sock.recv(2000)


async def test_an_error_of_ours_ends_one_request_and_not_the_host(world, monkeypatch):
    async def broken(self, event):
        raise RuntimeError("a mistake of ours")

    diag = host(world)
    async with diag:
        async with http3_client(diag.address, trusting(world.authority)) as client:
            monkeypatch.setattr(connections.Connection, "_begin", lambda self, event: broken(self, event).send(None))
            stream = await client.begin("GET", "/readyz")
            with trio.move_on_after(5):
                while client.terminated is None and client.answers[stream].reset is None:
                    await trio.sleep(0.02)
            monkeypatch.undo()
        async with http3_client(diag.address, trusting(world.authority)) as client:
            assert (await client.ask("GET", "/readyz")).status == 200


async def test_it_can_be_switched_off_and_cannot_be_had_without_tls(world, tmp_path):
    settings = world.settings()
    off = msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, http3=False))
    diag = fp.Diagnostics(off)
    async with diag:
        host_, _, port = diag.address.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host_, int(port)))  # nobody else has it
    plain = fp.Settings(host="h1", state_dir=str(tmp_path / "s"), server=fp.ServerSettings(listen="127.0.0.1:0", http3=True))
    with pytest.raises(ConfigError, match="always encrypted"):
        async with fp.Diagnostics(plain):
            pass


async def test_a_taken_port_is_told_at_the_start(world):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = world.settings()
        server = msgspec.structs.replace(settings.server, listen=f"127.0.0.1:{port}")
        with pytest.raises(ConfigError, match=f"UDP 127.0.0.1:{port}"):
            async with fp.Diagnostics(msgspec.structs.replace(settings, server=server)):
                pass
