"""gRPC on the host's port, as stock clients call it: health, the resources of HTTP, reflection; and what hostile ones send."""

from __future__ import annotations

import gzip
import struct
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import trio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from joserfc import jwk

import meshkit_fastprobe as fp
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.probes.catalog import Catalog
from meshkit_fastprobe.security.audit_store import verify
from meshkit_fastprobe.server.grpc.methods import SERVICES, all_methods
from meshkit_fastprobe.server.local_token import read_token
from tests.integration.grpc_caller import HEALTH, caller, in_thread
from tests.integration.security.conftest import World

pytestmark = pytest.mark.integration

Code = grpc.StatusCode
PREFIX = "/meshkit/diagnostics/v1"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def plain_host(state_dir, **settings):
    server = fp.ServerSettings(listen="127.0.0.1:0")
    chaos = fp.ChaosSettings(experiments=(fp.Experiment(id="rehearsal", fault=Null(), duration_s=1.0),))
    diag = fp.Diagnostics(
        fp.Settings(host="h1", cluster="eu-1", state_dir=str(state_dir), server=server, chaos=chaos, **settings)
    )
    diag.add(fp.TcpProbe("127.0.0.1:1"), name="down", namespace="orders", interval="50ms", timeout="50ms", fall=1)
    diag.add(fp.TcpProbe("127.0.0.1:1"), name="resting", namespace="rest", interval=3600, enabled=False)
    return diag


@asynccontextmanager
async def called(diag, token=None):
    """A client of a host without TLS, as whoever the token says; by default the host's own user."""
    token = read_token(Path(diag.settings.state_dir)) if token is None else token
    with caller(diag.address, token) as asked:
        yield asked


async def until(holds):
    with trio.fail_after(20):
        while not holds():
            await trio.sleep(0.02)


# -- health ------------------------------------------------------------------------------------------------------------------


async def test_health_answers_for_the_host_a_probe_and_a_group_to_the_stock_client(tmp_path):
    def ask(address, token):
        with grpc.insecure_channel(address) as channel:
            stub, metadata = health_pb2_grpc.HealthStub(channel), [("authorization", f"Bearer {token}")]

            def check(service):
                return stub.Check(health_pb2.HealthCheckRequest(service=service), metadata=metadata, timeout=30).status

            told = [check(service) for service in ("", "down", "eu-1/orders", "resting", "eu-1/rest")]
            listed = stub.List(health_pb2.HealthListRequest(), metadata=metadata, timeout=30).statuses
            with pytest.raises(grpc.RpcError) as refused:
                check("nobody")
            return told, {name: one.status for name, one in listed.items()}, refused.value.code()

    async with plain_host(tmp_path) as diag:
        await until(lambda: diag.view("down").state is fp.State.UNHEALTHY)
        told, listed, refused = await in_thread(ask, diag.address, read_token(tmp_path))
    status = health_pb2.HealthCheckResponse
    assert told == [status.SERVING, status.NOT_SERVING, status.NOT_SERVING, status.UNKNOWN, status.UNKNOWN]
    assert listed == {"": status.SERVING, "down": status.NOT_SERVING, "resting": status.UNKNOWN}
    assert refused is Code.NOT_FOUND


async def test_a_watch_tells_what_is_now_and_every_change_and_that_the_host_leaves(tmp_path):
    seen, leaving = [], []

    def follow(address, token):
        with caller(address, token) as asked:
            try:
                seen.extend(response.status for response in asked.follow("Watch", {"service": "turning"}, HEALTH))
            except grpc.RpcError as error:
                leaving.append(error.code())

    up = True

    async def turning():
        if not up:
            raise OSError("down")

    diag = plain_host(tmp_path)
    diag.probe("turning", interval="30ms", timeout="30ms", rise=1, fall=1)(turning)
    async with trio.open_nursery() as nursery, diag:
        await until(lambda: diag.view("turning").state is fp.State.HEALTHY)
        nursery.start_soon(in_thread, follow, diag.address, read_token(tmp_path))
        await until(lambda: seen == [1])
        up = False
        await until(lambda: seen == [1, 2])
        up = True
        await until(lambda: seen == [1, 2, 1])
    assert leaving == [Code.UNAVAILABLE]


async def test_our_own_probe_finds_our_own_host_healthy(tmp_path):
    diag = plain_host(tmp_path)
    async with diag:
        token = read_token(tmp_path)
        other = fp.Diagnostics(fp.Settings(host="h2"))
        other.add(fp.GrpcProbe(diag.address, headers={"authorization": f"Bearer {token}"}), name="h1", interval=60, timeout=20)
        async with other:
            view = await other.run_once("h1")
    assert view.result is fp.Result.OK


# -- the resources -------------------------------------------------------------------------------------------------------------


async def test_every_resource_says_what_it_says_over_http(tmp_path):
    pairs = {
        "ListProbes": "/probes",
        "ListGroups": "/groups",
        "ListToggles": "/toggles",
        "ListFaults": "/chaos/faults",
        "ListExperiments": "/chaos/experiments",
        "ListRuns": "/chaos/runs",
        "ListObjects": "/chaos/objects",
    }
    diag = plain_host(tmp_path)
    diag.pause("down")  # so that nothing changes between the two questions
    async with diag, called(diag) as asked:
        headers = {"authorization": f"Bearer {read_token(tmp_path)}"}
        async with httpx.AsyncClient(base_url=f"http://{diag.address}{PREFIX}", headers=headers, timeout=30) as http:
            for name, path in pairs.items():
                over_grpc = await in_thread(asked.call, name)
                over_http = (await http.get(path)).json()
                assert _comparable(over_grpc.get("items", [])) == _comparable(over_http["items"]), name
                assert (over_grpc["host"], over_grpc["schemaVersion"]) == (over_http["host"], over_http["schemaVersion"])


def _comparable(value):
    """Without what proto3's JSON writes in its own way (numbers of 64 bits are text, what is zero or empty is absent), and
    without the time that has passed."""
    if isinstance(value, dict):
        return {
            key: told
            for key, one in value.items()
            if key != "seconds" and (told := _comparable(one)) not in ("", [], {}, False, 0, "0", None)
        }
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


async def test_pages_filters_and_verbs_go_through(tmp_path):
    diag = plain_host(tmp_path)
    for number in range(300):
        diag.add(fp.TcpProbe("127.0.0.1:1"), name=f"many-{number:03}", namespace="many", interval=3600, enabled=False)
    async with diag, called(diag) as asked:
        seen, given = [], {"name": "many-*", "pageSize": 128}
        while True:
            page = await in_thread(asked.call, "ListProbes", given)
            seen += [item["name"] for item in page["items"]]
            if "nextPageToken" not in page:
                break
            given["pageToken"] = page["nextPageToken"]
        assert seen == [f"many-{number:03}" for number in range(300)]
        told = await in_thread(asked.call, "RunProbe", {"name": "down", "explain": True})
        assert told["item"]["reason"] == "connect_refused"
        assert told["explanation"]["target"] == "127.0.0.1:1"
        paused = await in_thread(asked.call, "PauseProbe", {"name": "down"})
        assert paused["item"]["state"] == "paused"
        assert (await in_thread(asked.call, "ResumeProbe", {"name": "down"}))["item"]["state"] != "paused"
        assert await in_thread(asked.refusal, "GetProbe", {"name": "nobody"}) == (Code.NOT_FOUND, "unknown_probe")
        assert await in_thread(asked.refusal, "ListProbes", {"pageSize": 99_999}) == (
            Code.INVALID_ARGUMENT,
            "invalid_parameter",
        )


async def test_a_toggle_is_changed_by_whoever_knows_its_version(tmp_path):
    diag = plain_host(tmp_path)
    async with diag, called(diag) as asked:
        change = {"name": "probes.enabled", "value": True, "reason": "to see"}
        assert await in_thread(asked.refusal, "SetToggle", change) == (Code.FAILED_PRECONDITION, "version_needed")
        assert await in_thread(asked.refusal, "SetToggle", {**change, "version": 77}) == (Code.ABORTED, "version_mismatch")
        assert "item" in await in_thread(asked.call, "SetToggle", {**change, "anyVersion": True})
        records = (await in_thread(asked.call, "ListAudit", {"action": "toggle.set"}))["items"]
        assert [(record["scope"], record["reason"]) for record in records] == [("probes.enabled", "to see")]


async def test_an_experiment_lives_and_is_halted_by_grpc_alone(tmp_path):
    diag = plain_host(tmp_path)
    async with diag, called(diag) as asked:
        name = {"name": "drill"}
        definition = {"id": "drill", "fault": "null", "duration": "30s", "recovery": "1s"}
        await in_thread(asked.call, "AddExperiment", {"definition": definition})
        assert await in_thread(asked.refusal, "AddExperiment", {"definition": definition}) == (
            Code.ALREADY_EXISTS,
            "duplicate_experiment",
        )
        assert (await in_thread(asked.refusal, "PrepareExperiment", name))[1] == "chaos_refused"
        for toggle in ("chaos.enabled", "chaos.null.enabled"):
            await in_thread(asked.call, "SetToggle", {"name": toggle, "value": True, "anyVersion": True})
        prepared = (await in_thread(asked.call, "PrepareExperiment", {**name, "reason": "a drill"}))["item"]
        assert prepared["run"]["plan"]["id"] == prepared["confirmation"]["planId"]
        wrong = {**name, "token": prepared["confirmation"]["token"][:-2] + "AA"}
        assert await in_thread(asked.refusal, "ActivateExperiment", wrong) == (Code.PERMISSION_DENIED, "confirmation_refused")
        token = {"token": prepared["confirmation"]["token"]}
        active = (await in_thread(asked.call, "ActivateExperiment", {**name, **token}))["item"]
        assert active["phase"] == "active"
        halted = (await in_thread(asked.call, "HaltChaos", {"reason": "enough"}))["item"]
        assert [run["phase"] for run in halted["runs"]] == ["aborted"]
        assert (await in_thread(asked.refusal, "PrepareExperiment", name))[1] == "chaos_refused"
        await in_thread(asked.call, "ResumeChaos", {"reason": "over"})
        run = halted["runs"][0]["id"]
        assert (await in_thread(asked.call, "GetRun", {"name": run}))["item"]["stoppedBy"] == "local"
        assert (await in_thread(asked.call, "GetReceipt", {"name": run}))["item"]["signature"]


async def test_events_stream_and_go_on_where_they_ended(tmp_path):
    diag = plain_host(tmp_path)
    seen = []

    def follow(address, token, last):
        with caller(address, token) as asked:
            stream = asked.follow(
                "WatchEvents", {"types": "transition", "name": "turning", **({"lastEventId": last} if last else {})}
            )
            for event in stream:
                seen.append(event)
                if event.WhichOneof("what") == "transition":
                    stream.cancel()
                    return

    up = False

    async def turning():
        if not up:
            raise OSError("down")

    def is_in(state):
        return lambda: diag.view("turning").state is state

    diag.probe("turning", interval="30ms", timeout="30ms", rise=1, fall=1)(turning)
    async with diag:
        await until(is_in(fp.State.UNHEALTHY))
        token = read_token(tmp_path)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(in_thread, follow, diag.address, token, "")
            await until(lambda: seen)
            up = True
        assert [event.WhichOneof("what") for event in seen] == ["hello", "transition"]
        assert (seen[1].transition.name, seen[1].transition.after) == ("turning", "healthy")
        await until(is_in(fp.State.HEALTHY))
        up = False
        await until(is_in(fp.State.UNHEALTHY))
        await in_thread(follow, diag.address, token, seen[1].id)
    assert seen[-1].transition.after == "unhealthy"  # it happened while nobody followed


# -- who may ------------------------------------------------------------------------------------------------------------------


async def test_every_method_refuses_every_bad_identity_and_writes_it_down(world):
    stranger = jwk.ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"})
    bad = {
        "none": None,
        "expired": world.token(exp=1),
        "of another audience": world.token(aud="billing"),
        "signed by a stranger": world.token(key=stranger),
        "signed with a shared secret": world.token(key=jwk.OctKey.import_key("a" * 32), alg="HS256"),
        "tampered with": world.token()[:-4] + "AAAA",
    }
    credentials = grpc.ssl_channel_credentials(world.authority.cert_pem.bytes())

    def walk(address):
        with grpc.secure_channel(address, credentials) as channel:
            for path in all_methods():
                for what, token in bad.items():
                    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
                    with pytest.raises(grpc.RpcError) as refused:
                        channel.unary_unary(path)(b"", metadata=metadata, timeout=60)
                    assert refused.value.code() is Code.UNAUTHENTICATED, (path, what)
            nobody = [("authorization", f"Bearer {world.token('nobody')}")]
            for path in all_methods():
                with pytest.raises(grpc.RpcError) as refused:
                    channel.unary_unary(path)(b"", metadata=nobody, timeout=60)
                assert refused.value.code() in {Code.PERMISSION_DENIED, Code.NOT_FOUND}, path

    diag = fp.Diagnostics(world.settings())
    async with diag:
        await in_thread(walk, diag.address)
        with caller(diag.address, read_token(Path(diag.settings.state_dir)), credentials) as asked:
            items = (await in_thread(asked.call, "ListAudit", {"result": "denied"}))["items"]
    denied = {item["action"] for item in items}
    assert verify(Path(diag.settings.state_dir) / "audit").verdict.name == "INTACT"
    assert {"authenticate", "probes.read", "chaos.halt", "toggles.write", "audit.read"} <= denied


async def test_a_reader_of_one_namespace_is_told_that_nothing_else_exists(world):
    diag = fp.Diagnostics(world.settings())
    for name, namespace in {"orders-db": "orders", "secret-pay": "pay"}.items():
        diag.add(fp.TcpProbe("127.0.0.1:9"), name=name, namespace=namespace, interval=3600, timeout=1)
    credentials = grpc.ssl_channel_credentials(world.authority.cert_pem.bytes())

    def look(address):
        with caller(address, world.token("bert"), credentials) as asked:
            names = [item["name"] for item in asked.call("ListProbes")["items"]]
            listed = asked.call("List", service=HEALTH)["statuses"]
            return (
                names,
                sorted(listed),
                asked.refusal("GetProbe", {"name": "secret-pay"}),
                asked.refusal("Check", {"service": "secret-pay"}, HEALTH)[0],
                asked.refusal("Check", {"service": "eu-1/pay"}, HEALTH)[0],
                asked.refusal("PauseProbe", {"name": "orders-db"}),
            )

    async with diag:
        names, listed, get, check, group, pause = await in_thread(look, diag.address)
    assert (names, listed) == (["orders-db"], ["", "orders-db"])
    assert get == (Code.NOT_FOUND, "unknown_probe")
    assert check is group is Code.NOT_FOUND
    assert pause == (Code.PERMISSION_DENIED, "forbidden")


async def test_a_client_certificate_is_an_identity_here_too(world):
    context_file = world.directory / "client.pem"
    world.client_context("spiffe://mesh/orders")
    pem = context_file.read_bytes()
    credentials = grpc.ssl_channel_credentials(world.authority.cert_pem.bytes(), pem, pem)
    diag = fp.Diagnostics(world.settings())
    diag.add(fp.TcpProbe("127.0.0.1:9"), name="orders-db", namespace="orders", interval=3600, timeout=1)

    def pause(address):
        with caller(address, None, credentials) as asked:
            return asked.call("PauseProbe", {"name": "orders-db"})["item"]["state"]

    async with diag:
        assert await in_thread(pause, diag.address) == "paused"


# -- the protocol --------------------------------------------------------------------------------------------------------------


async def test_reflection_tells_every_service_and_every_message(tmp_path):
    diag = plain_host(tmp_path)
    async with diag, called(diag) as asked:
        assert sorted(await in_thread(asked.reflected.get_services)) == sorted(SERVICES)
        method = await in_thread(asked.method, "ListProbes")
        assert {field.name for field in method.input_type.fields} >= {"cluster", "page_token"}


async def test_a_deadline_ends_a_run_that_takes_longer(tmp_path):
    diag = plain_host(tmp_path)
    cancelled = trio.Event()

    async def slow():
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    diag.probe("slow", interval=3600, timeout=60, initial_delay=3600)(slow)
    async with diag, called(diag) as asked:
        code, _ = await in_thread(lambda: asked.refusal("RunProbe", {"name": "slow"}, timeout=0.5))
        assert code is Code.DEADLINE_EXCEEDED
    assert cancelled.is_set()


async def test_a_caller_who_goes_away_leaves_no_reader_behind(tmp_path):
    diag = plain_host(tmp_path)
    started, go = threading.Event(), threading.Event()

    def follow(address, token):
        with caller(address, token) as asked:
            stream = asked.follow("WatchEvents")
            next(stream)
            started.set()
            go.wait(30)
            stream.cancel()

    async with diag:
        counted = diag.endpoints.requests.counts
        async with trio.open_nursery() as nursery:
            nursery.start_soon(in_thread, follow, diag.address, read_token(tmp_path))
            await until(started.is_set)
            assert not [asked for asked in counted if asked.route.endswith("/WatchEvents")]
            go.set()
        await until(lambda: [asked for asked in counted if asked.route.endswith("/WatchEvents")])
    [asked] = [asked for asked in counted if asked.route.endswith("/WatchEvents")]
    assert (asked.protocol, asked.status) == ("grpc", 499)


class Raw:
    """A caller that sends what it likes over HTTP/2 without TLS."""

    def __init__(self, address, token):
        host, _, port = address.rpartition(":")
        self.address, self.token = (host, int(port)), token

    async def send(self, body, *, path=f"/{HEALTH}/Check", headers=(), without=()):
        """Headers and trailers of the answer, together."""
        stream = await trio.open_tcp_stream(*self.address)
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        connection.initiate_connection()
        base = {
            ":method": "POST",
            ":scheme": "http",
            ":authority": f"127.0.0.1:{self.address[1]}",
            ":path": path,
            "content-type": "application/grpc",
            "te": "trailers",
            "authorization": f"Bearer {self.token}",
        }
        told = {**base, **dict(headers)}
        connection.send_headers(1, [pair for pair in told.items() if pair[0] not in without])
        for start in range(0, len(body), 16_384):
            connection.send_data(1, body[start : start + 16_384])
        connection.end_stream(1)
        seen = {}
        with trio.fail_after(30):
            async with stream:
                await stream.send_all(connection.data_to_send())
                while True:
                    data = await stream.receive_some(65536)
                    for event in connection.receive_data(data):
                        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                            seen |= {name.decode(): value.decode() for name, value in event.headers}
                        if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                            return seen
                    await stream.send_all(connection.data_to_send())
                    if not data:
                        return seen


def frame(message, compressed=0):
    return struct.pack(">BI", compressed, len(message)) + message


BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (frame(b""), {}, "0"),
        (frame(gzip.compress(b""), 1), {"grpc-encoding": "gzip"}, "0"),
        (b"", {}, "13"),
        (b"\x07garbage", {}, "13"),
        (frame(b"\xff\xff\xff\xff"), {}, "3"),
        (frame(b"\x0a\x05abc"), {}, "3"),
        (frame(b"")[:3], {}, "13"),
        (frame(b"") * 2, {}, "13"),
        (struct.pack(">BI", 0, 2**32 - 1), {}, "8"),
        (struct.pack(">BI", 0, 70_000) + b"x" * 40_000, {}, "8"),
        (frame(BOMB, 1), {"grpc-encoding": "gzip"}, "8"),
        (frame(b"no gzip", 1), {"grpc-encoding": "gzip"}, "13"),
        (frame(gzip.compress(b"")[:-4], 1), {"grpc-encoding": "gzip"}, "13"),
        (frame(b"", 1), {}, "13"),
        (frame(b""), {"grpc-encoding": "snappy"}, "12"),
        (frame(b""), {"grpc-timeout": "soon"}, "3"),
        (frame(b""), {"grpc-timeout": "0n"}, "4"),
    ],
)
async def test_what_is_no_call_ends_with_a_status_and_takes_nobody_along(tmp_path, body, headers, status):
    async with plain_host(tmp_path) as diag:
        raw = Raw(diag.address, read_token(tmp_path))
        seen = await raw.send(body, headers=headers.items())
        assert (seen[":status"], seen.get("grpc-status")) == ("200", status), seen
        assert (await raw.send(frame(b"")))["grpc-status"] == "0"


async def test_who_cannot_take_trailers_or_speaks_another_form_is_told_so(tmp_path):
    async with plain_host(tmp_path) as diag:
        raw = Raw(diag.address, read_token(tmp_path))
        assert (await raw.send(frame(b""), without=("te",)))[":status"] == "415"
        assert (await raw.send(frame(b""), headers=[("content-type", "application/grpc+json")]))[":status"] == "415"
        assert (await raw.send(frame(b""), path="/grpc.health.v1.Health/Nothing"))["grpc-status"] == "12"
        headers = {"authorization": f"Bearer {raw.token}", "content-type": "application/grpc", "te": "trailers"}
        async with httpx.AsyncClient(base_url=f"http://{diag.address}", headers=headers, timeout=30) as http:
            response = await http.post(f"/{HEALTH}/Check", content=frame(b""))
        assert (response.status_code, response.json()["code"]) == (415, "grpc_refused")


async def test_names_of_any_script_survive_the_way_back(tmp_path):
    async with plain_host(tmp_path) as diag:
        raw = Raw(diag.address, read_token(tmp_path))
        name = "größe/✓\n".encode()
        seen = await raw.send(frame(b"\n" + bytes([len(name)]) + name))
        assert (seen["grpc-status"], "%E2%9C%93" in seen["grpc-message"]) == ("5", True)


async def test_an_error_of_ours_is_an_id_and_no_traceback(tmp_path, monkeypatch, caplog):
    def broken(_self, _name):
        raise RuntimeError("the secret of the house")

    diag = plain_host(tmp_path)
    async with diag, called(diag) as asked:
        await in_thread(asked.method, "GetProbe")
        monkeypatch.setattr(Catalog, "__getitem__", broken)
        code, problem = await in_thread(asked.refusal, "GetProbe", {"name": "down"})
        monkeypatch.undo()
    assert (code, problem) == (Code.INTERNAL, "internal")
    assert "the secret of the house" in caplog.text


async def test_without_protobuf_a_call_says_what_to_install(tmp_path, monkeypatch):
    from meshkit_fastprobe.server.grpc import messages

    for known in (messages.files, messages.pool, messages.message_class, messages.service):
        known.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "google.protobuf", None)
    async with plain_host(tmp_path) as diag:
        seen = await Raw(diag.address, read_token(tmp_path)).send(frame(b""))
    assert (seen["grpc-status"], "meshkit-fastprobe[grpc]" in seen["grpc-message"]) == ("12", True)


async def test_a_hundred_watch_one_probe(tmp_path):
    diag = plain_host(tmp_path)
    seen, go = [], threading.Event()

    def follow(address, token):
        with caller(address, token, options=[("grpc.use_local_subchannel_pool", 1)]) as asked:
            streams = [asked.follow("Watch", {"service": "down"}, HEALTH) for _ in range(25)]
            seen.extend(next(stream).status for stream in streams)
            go.wait(60)
            for stream in streams:
                seen.append(next(stream).status)
                stream.cancel()

    async with diag:
        await until(lambda: diag.view("down").state is fp.State.UNHEALTHY)
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(in_thread, follow, diag.address, read_token(tmp_path))
            with trio.fail_after(60):
                while len(seen) < 100:
                    await trio.sleep(0.05)
            diag.pause("down")
            go.set()
    assert (seen[:100].count(2), seen[100:].count(0)) == (100, 100)
