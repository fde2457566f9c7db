"""Visitors who mean no good, byte by byte, on a running host: they are refused, bounded or left, and nobody else notices."""

from __future__ import annotations

import base64
import hashlib
from contextlib import asynccontextmanager, suppress

import h2.config
import h2.connection
import h2.events
import httpx
import msgspec
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.server import bodies, connections
from meshkit_fastprobe.server.http3 import connection as http3_connection
from meshkit_fastprobe.server.routes import ROUTES
from tests.integration.http3_client import http3_client, trusting
from tests.integration.security.conftest import World

pytestmark = pytest.mark.integration

PREFIX = "/meshkit/diagnostics/v1"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@asynccontextmanager
async def host(tmp_path, **server):
    experiment = fp.Experiment(id="slow-orders", fault=Null(), duration_s=1.0)
    settings = fp.Settings(
        host="cp-1",
        state_dir=str(tmp_path / "state"),
        server=fp.ServerSettings(**{"listen": "127.0.0.1:0", **server}),
        chaos=fp.ChaosSettings(experiments=(experiment,)),
    )
    diag = fp.Diagnostics(settings)
    for name in ("orders-db", "a/b c:ü"):
        diag.add(fp.TcpProbe("127.0.0.1:9"), name=name, namespace="orders", interval=3600, timeout=1, initial_delay=3600)
    async with diag:
        yield diag


async def connected(diag):
    where = diag.address
    if where.startswith("unix:"):
        return await trio.open_unix_socket(where.removeprefix("unix:"))
    name, _, port = where.rpartition(":")
    return await trio.open_tcp_stream(name, int(port))


async def all_of(stream, patience_s=20.0):
    """What comes until the host closes."""
    text = b""
    with trio.fail_after(patience_s), suppress(trio.BrokenResourceError):
        while part := await stream.receive_some(65536):
            text += part
    return text


async def tell(diag, request):
    async with await connected(diag) as stream:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(request)
        return await all_of(stream)


def request(diag, method, path, *headers, body=b"", host_name="127.0.0.1"):
    lines = [f"{method} {path} HTTP/1.1", f"host: {host_name}", f"authorization: Bearer {diag.local_token}", *headers]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1") + body


def client(diag):
    return httpx.AsyncClient(
        base_url=f"http://{diag.address}{PREFIX}", headers={"authorization": f"Bearer {diag.local_token}"}, timeout=30
    )


# -- requests that mean two things, or nothing ---------------------------------------------------------------------------------

CHUNKED = b"3\r\nabc\r\n0\r\n\r\n"
NEXT = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (["transfer-encoding: chunked", "content-length: 3"], CHUNKED + NEXT, 400),
        (["content-length: 3", "transfer-encoding: chunked"], b"abc" + NEXT, 400),
        (["content-length: 3", "content-length: 4"], b"abcd", 400),
        (["content-length: -1"], b"abc", 400),
        (["content-length: +3"], b"abc", 400),
        (["content-length: 0x3"], b"abc", 400),
        (["transfer-encoding: xchunked"], CHUNKED, 501),
        (["transfer-encoding: gzip, chunked"], CHUNKED, 501),
        (["transfer-encoding : chunked"], CHUNKED, 400),
        (["x: a\0b"], b"", 400),
        (["host: elsewhere.example"], b"", 400),
        (["transfer-encoding: chunked"], b"3\r\nabc\r\n0\r\nauthorization: Bearer x\r\nx: y\r\n\r\n", 200),
        (["transfer-encoding: chunked"], b"3;name=value\r\nabc\r\n0\r\n\r\n", 200),
    ],
)
async def test_a_request_that_can_be_read_in_two_ways_is_answered_in_none(tmp_path, headers, body, status):
    async with host(tmp_path) as diag:
        text = await tell(diag, request(diag, "POST", f"{PREFIX}/probes/orders-db:pause", *headers, body=body))
        assert text.startswith(b"HTTP/1.1 %d" % status), text[:200]
        assert text.count(b"HTTP/1.1 ") == 1, "what came behind it was taken for a request"
        assert (diag.view("orders-db").state is fp.State.PAUSED) is (status == 200)


@pytest.mark.parametrize("size", [b"-1", b"0000000000000000000000f", b"f f", b"0xf", b""])
async def test_pieces_of_an_impossible_size_change_nothing(tmp_path, size):
    piece = size + b"\r\n" + b'{"value": true}' + b"\r\n0\r\n\r\n"
    async with host(tmp_path) as diag, client(diag) as http:
        headers = ("if-match: *", "transfer-encoding: chunked")
        text = await tell(diag, request(diag, "PUT", f"{PREFIX}/toggles/chaos.enabled", *headers, body=piece))
        assert text.startswith(b"HTTP/1.1 400"), text[:200]
        [toggle] = [one for one in (await http.get("/toggles")).json()["items"] if one["name"] == "chaos.enabled"]
        assert (toggle["value"], toggle["version"]) == (False, 0)


@pytest.mark.parametrize(
    ("target", "host_name", "status"),
    [
        ("http://127.0.0.1{prefix}/probes", "127.0.0.1", 404),  # the form for proxies, which this is not
        ("http://elsewhere.example/livez", "127.0.0.1", 404),
        ("{prefix}/probes", "elsewhere.example", 421),
        ("/{prefix}/probes", "127.0.0.1", 404),
        ("{prefix}/probes/..%2f..%2faudit", "127.0.0.1", 404),
        ("{prefix}/probes/%ff%fe", "127.0.0.1", 404),
        ("{prefix}/probes/orders-db%00", "127.0.0.1", 404),
        ("{prefix}/probes/a/b%20c:%C3%BC", "127.0.0.1", 200),
        ("{prefix}/probes/a%2Fb%20c%3A%C3%BC", "127.0.0.1", 200),
        ("{prefix}/probes?page_size=-1", "127.0.0.1", 400),
        ("{prefix}/probes?page_size=%D9%A3", "127.0.0.1", 400),
        ("{prefix}/probes?page_token=" + "A" * 8000, "127.0.0.1", 400),
        ("{prefix}/probes?" + "&".join(f"a{n}=1" for n in range(500)), "127.0.0.1", 400),
    ],
)
async def test_targets_of_every_form_find_what_they_name_or_nothing(tmp_path, target, host_name, status):
    async with host(tmp_path) as diag:
        text = await tell(diag, request(diag, "GET", target.replace("{prefix}", PREFIX), host_name=host_name))
        assert text.startswith(b"HTTP/1.1 %d" % status), text[:300]


def forged(text, filters):
    """A page token with a digest that is right: the way they are made is no secret."""
    name = text.encode()
    key = hashlib.blake2b(filters.encode(), digest_size=32).digest()
    digest = hashlib.blake2b(name, digest_size=8, key=key).digest()
    return base64.urlsafe_b64encode(digest + name).decode().rstrip("=")


async def test_forged_page_tokens_are_refused_and_the_audit_goes_on(tmp_path):
    async with host(tmp_path) as diag, client(diag) as http:
        for path, filters in (("/audit", "[]"), ("/chaos/runs", "")):
            for text in ("abc", "-5", "-" + "9" * 30, "9" * 30, "9" * 5000, "1.5", "", " 7 "):
                answer = await http.get(path, params={"page_token": forged(text, filters)})
                assert (answer.status_code, answer.json()["code"]) == (400, "invalid_page_token"), (path, text[:20])
        assert (await http.post("/probes/orders-db:pause")).status_code == 200
        assert [item["action"] for item in (await http.get("/audit")).json()["items"]] == ["probe.pause"]


DEEP = 12_000


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("json", b"[" * DEEP),
        ("json", b'{"a":' * DEEP),
        ("json", b'{"id": "x", "affects": ' + b'{"a":' * 300 + b"1" + b"}" * 301),
        ("json", b'{"id": "x", "duration": 1e999}'),
        ("json", b'{"id": "x", "duration": ' + b"9" * 5000 + b"}"),
        ("json", b'{"id": "\\ud800"}'),
        ("json", b'{"id": {"a": [null]}, "fault": [], "duration": null}'),
        ("json", b"\xff\xfe"),
        ("json", b"null"),
        ("msgpack", b"\x91" * DEEP),
        ("msgpack", b"\x81\xa1a" * DEEP),
        ("msgpack", b"\xc7\x04\xffabcd"),
        ("msgpack", b"\x81\x91\x01\x02"),
        ("msgpack", b"\xdd\xff\xff\xff\xff"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:14]),
)
async def test_bodies_of_any_shape_are_refused_with_a_reason(tmp_path, media, body):
    async with host(tmp_path) as diag, client(diag) as http:
        headers = {"content-type": f"application/{media}", "if-match": "*"}
        for method, path in (("POST", "/chaos/experiments"), ("PUT", "/toggles/log.level"), ("POST", "/chaos:resume")):
            answer = await http.request(method, path, content=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) in {(400, "invalid_body"), (400, "invalid_experiment")}, (
                answer.text
            )


# -- what changes nothing, and what changes once -------------------------------------------------------------------------------


async def test_a_get_changes_nothing(tmp_path):
    """Every GET of the table, and every HEAD, also with a body and with what some servers take for another method."""

    async def everything(diag, http):
        told = {"audit": diag.endpoints.audit.head, "policy": diag.gate.policy, "names": [*diag.catalog.by_name]}
        for path in ("/probes", "/toggles", "/chaos/experiments", "/chaos/runs"):
            told[path] = (await http.get(path)).json()["items"]
        kept = ("local-token", "toggles.json")
        state = tmp_path / "state"
        return {**told, **{name: (state / name).read_bytes() for name in kept if (state / name).exists()}}

    async with host(tmp_path) as diag, client(diag) as http:
        for toggle in ("chaos.enabled", "chaos.null.enabled"):
            assert (await http.put(f"/toggles/{toggle}", json={"value": True}, headers={"if-match": "0"})).status_code == 200
        assert (await http.post("/chaos/experiments/slow-orders:prepare")).status_code == 200
        before = await everything(diag, http)
        for spec in ROUTES:
            if spec.method != "GET":
                continue
            name = "slow-orders" if "chaos" in spec.path else "chaos.enabled" if "toggles" in spec.path else "orders-db"
            path = (PREFIX if spec.resource else "") + spec.path.replace("{name}", name)
            body = b'{"value": false, "reason": "x"}'
            odd = ("x-http-method-override: POST", "x-method-override: DELETE", f"content-length: {len(body)}")
            for method in ("GET", "HEAD"):
                async with await connected(diag) as stream:
                    await stream.send_all(request(diag, method, path, *odd, body=body))
                    told = await stream.receive_some(65536)
                    assert told[:10] in {b"HTTP/1.1 2", b"HTTP/1.1 4"}, path
                    if spec.path != "/events":  # its end would not come
                        await all_of(stream)
        assert await everything(diag, http) == before


async def test_a_version_is_good_once_and_in_one_form(tmp_path):
    async with host(tmp_path) as diag, client(diag) as http:

        async def put(version, value):
            headers = [("if-match", one) for one in version] if isinstance(version, list) else {"if-match": version}
            return await http.put("/toggles/probes.tcp.enabled", json={"value": value}, headers=headers)

        first = await put('"0"', False)
        assert (first.status_code, first.headers["etag"]) == (200, '"1"')
        replayed = await put('"0"', True)
        assert (replayed.status_code, replayed.json()["code"]) == (412, "version_mismatch")
        for tampered in (
            'W/"1"',
            '"01"',
            '"1',
            '1"',
            '"1","1"',
            '"1 "',
            "-1",
            "1.0",
            "0x1",
            '""',
            "",
            '"' + "9" * 30 + '"',
            '"\u00b9"',
        ):
            answer = await put(tampered.encode("latin-1"), True)
            assert (answer.status_code, answer.json()["code"]) == (428, "version_needed"), tampered
        assert (await put(['"1"', '"1"'], True)).status_code == 428
        assert (await put(first.headers["etag"], True)).status_code == 200
        [toggle] = [one for one in (await http.get("/toggles")).json()["items"] if one["name"] == "probes.tcp.enabled"]
        assert (toggle["value"], toggle["version"]) == (True, 2)
        assert diag.endpoints.audit.head.seq == 2


async def test_of_many_who_know_the_same_version_one_changes_it(tmp_path):
    async with host(tmp_path) as diag, client(diag) as http, trio.open_nursery() as nursery:
        answers = []

        async def put(value):
            headers = {"if-match": '"0"'}
            answers.append((await http.put("/toggles/chaos.enabled", json={"value": value}, headers=headers)).status_code)

        for number in range(12):
            nursery.start_soon(put, number % 2 == 0)
    assert sorted(answers) == [200, *[412] * 11]


# -- slow ones -----------------------------------------------------------------------------------------------------------------


def preface(*, headers=False):
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    begun = connection.data_to_send()
    # A HEADERS frame without END_HEADERS: the rest would come in CONTINUATION frames.
    return begun + (b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82" if headers else b"")


PING = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00inatimes"
SLOW = {
    "says nothing": (b"", b""),
    "a header byte by byte": (b"GET /livez HTTP/1.1\r\nx: ", b"a"),
    "headers without end": (b"GET /livez HTTP/1.1\r\n", b"x: y\r\n"),
    "HTTP/2 and no request": (preface(), b""),
    "HTTP/2 kept up by PINGs": (preface(), PING),
    "HTTP/2, headers without end": (preface(headers=True), b""),
}


@pytest.mark.parametrize("where", ["tcp", "unix", "tls"])
@pytest.mark.parametrize("slow", SLOW)
async def test_slow_visitors_hold_their_places_no_longer_than_they_may(world, monkeypatch, slow, where):
    monkeypatch.setattr(connections, "IDLE_S", 0.5)
    first, then = SLOW[slow]
    context = world.client_context()
    context.set_alpn_protocols(["h2" if "HTTP/2" in slow else "http/1.1"])
    left = []

    async def dawdle(diag):
        stream = await connected(diag)
        if where == "tls":
            stream = trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)
        async with stream, trio.open_nursery() as nursery:

            async def trickle():
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await stream.send_all(first)
                    while then:
                        await trio.sleep(0.05)
                        await stream.send_all(then)

            nursery.start_soon(trickle)
            await all_of(stream)
            left.append(True)
            nursery.cancel_scope.cancel()

    listen = f"unix:{world.directory}/socket" if where == "unix" else "127.0.0.1:0"
    tls = {"tls": world.tls} if where == "tls" else {}
    async with host(world.directory, listen=listen, **tls) as diag:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(dawdle, diag)
    assert len(left) == 20


async def test_who_says_nothing_in_the_handshake_is_left(world, monkeypatch):
    monkeypatch.setattr(connections, "HANDSHAKE_S", 0.3)
    diag = fp.Diagnostics(world.settings())
    async with diag, await connected(diag) as silent, await connected(diag) as slow:
        await slow.send_all(b"\x16\x03\x01")
        assert (await all_of(silent), await all_of(slow)) == (b"", b"")


async def test_a_body_that_trickles_is_waited_for_only_so_long(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.3)
    async with host(tmp_path) as diag, await connected(diag) as stream, trio.open_nursery() as nursery:
        headers = ("if-match: *", "content-length: 1000")

        async def trickle():
            await stream.send_all(request(diag, "PUT", f"{PREFIX}/toggles/log.level", *headers))
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while True:
                    await stream.send_all(b" ")
                    await trio.sleep(0.05)

        nursery.start_soon(trickle)
        assert (await all_of(stream)).startswith(b"HTTP/1.1 400")
        nursery.cancel_scope.cancel()


async def test_over_http3_a_place_is_for_who_asks_something(world, monkeypatch):
    monkeypatch.setattr(http3_connection, "IDLE_S", 0.5)
    diag = fp.Diagnostics(world.settings())
    async with diag, http3_client(diag.address, trusting(world.authority)) as visitor:
        assert (await visitor.ask("GET", "/livez")).status == 200
        with trio.fail_after(20):
            while visitor.terminated is None:
                visitor.quic.send_ping(1)
                await visitor.flush()
                await trio.sleep(0.05)
        assert visitor.terminated.error_code == 0x100  # H3_NO_ERROR


# -- floods --------------------------------------------------------------------------------------------------------------------

LONG = "x" * 100_000


async def test_headers_without_measure_are_refused_by_every_protocol(world):
    diag = fp.Diagnostics(world.settings())
    context = world.client_context()
    async with diag:
        for http2 in (False, True):
            async with httpx.AsyncClient(verify=context, http1=not http2, http2=http2, timeout=20) as http:
                try:
                    answer = await http.get(f"https://{diag.address}/livez", headers={"x": LONG})
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    pass
                else:
                    assert answer.status_code in {400, 431}, http2
                assert (await http.get(f"https://{diag.address}/livez")).status_code == 200
        async with http3_client(diag.address, trusting(world.authority)) as visitor:
            stream = await visitor.begin("GET", "/livez", [(f"x{number}", "x" * 4000) for number in range(25)])
            await visitor.until(lambda: visitor.terminated is not None or visitor.answers[stream].reset is not None)
        async with http3_client(diag.address, trusting(world.authority)) as visitor:
            assert (await visitor.ask("GET", "/livez")).status == 200


async def test_bodies_without_measure_are_refused_by_every_protocol(world):
    diag = fp.Diagnostics(world.settings())
    path, body = f"{PREFIX}/toggles/log.level", b" " * 400_000
    async with diag:
        headers = {"authorization": f"Bearer {diag.local_token}", "if-match": "*"}
        for http2 in (False, True):
            async with httpx.AsyncClient(
                verify=world.client_context(), http1=not http2, http2=http2, headers=headers, timeout=20
            ) as http:
                answer = await http.put(f"https://{diag.address}{path}", content=body)
                assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), http2
        async with http3_client(diag.address, trusting(world.authority)) as visitor:
            answer = await visitor.ask("PUT", path, list(headers.items()), body)
            assert answer.reset is not None or msgspec.json.decode(answer.body)["code"] == "body_too_large"
            assert (await visitor.ask("GET", "/livez")).status == 200


async def test_a_body_in_pieces_of_one_byte_ends_its_own_connection(tmp_path, caplog):
    """Each piece is a frame, and dear to read; the windows alone would let 64 Ki of them through at once."""
    async with host(tmp_path) as diag, await connected(diag) as stream:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        connection.initiate_connection()
        headers = [
            (":method", "PUT"),
            (":path", f"{PREFIX}/toggles/log.level"),
            (":scheme", "http"),
            (":authority", "localhost"),
        ]
        connection.send_headers(1, [*headers, ("if-match", "*"), ("authorization", f"Bearer {diag.local_token}")])
        for _ in range(60_000):
            connection.send_data(1, b" ")
        with suppress(trio.BrokenResourceError):
            await stream.send_all(connection.data_to_send())
        await all_of(stream)
        assert "floods us with HTTP/2 frames" in caplog.text
        assert (await tell(diag, request(diag, "GET", "/livez"))).startswith(b"HTTP/1.1 200")


async def test_a_refusal_on_one_stream_leaves_the_others_of_its_connection(tmp_path):
    """What was on its way when the answer went out is no reason to drop whoever else shares the connection."""
    async with host(tmp_path) as diag, await connected(diag) as stream:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        connection.initiate_connection()
        base = [(":scheme", "http"), (":authority", "localhost")]
        call = [(":method", "POST"), (":path", "/grpc.health.v1.Health/Check"), ("content-type", "application/grpc")]
        connection.send_headers(1, [*call[:2], *base, call[2], ("te", "trailers")])
        await stream.send_all(connection.data_to_send())
        ended = set()

        async def until(stream_id):
            with trio.fail_after(20):
                while stream_id not in ended:
                    part = await stream.receive_some(65536)
                    assert part, "the connection was dropped"
                    for event in connection.receive_data(part):
                        if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                            ended.add(event.stream_id)

        await until(1)
        # By hand: h2 knows on this side that the stream is over, as a client that was faster does not.
        await stream.send_all(b"\x00\x00\x05\x00\x01\x00\x00\x00\x01" + bytes(5))
        connection.send_headers(3, [(":method", "GET"), (":path", "/livez"), *base], end_stream=True)
        await stream.send_all(connection.data_to_send())
        await until(3)
