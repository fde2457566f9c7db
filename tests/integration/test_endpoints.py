"""The endpoints of a running Diagnostics, over real sockets, as clients see them."""

import random
import socket
import stat
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.server import connections
from meshkit_fastprobe.server.local_token import TOKEN_FILE, read_token

pytestmark = pytest.mark.integration

PREFIX = "/meshkit/diagnostics/v1"


def diagnostics(state_dir, listen="127.0.0.1:0", **settings):
    server = fp.ServerSettings(listen=listen)
    return fp.Diagnostics(fp.Settings(host="h1", cluster="eu-1", state_dir=str(state_dir), server=server, **settings))


@asynccontextmanager
async def client_of(diag, *, token=None, **options):
    token = read_token(Path(diag.settings.state_dir)) if token is None else token
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=f"http://{diag.address}", headers=headers, timeout=30, **options) as client:
        yield client


@asynccontextmanager
async def target():
    """A TCP server on loopback that accepts and closes; gives its address."""

    async def accept(_stream):
        pass

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, accept, 0, host="127.0.0.1"))
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def test_the_token_file_is_0600_and_its_token_opens(tmp_path):
    async with diagnostics(tmp_path / "state") as diag:
        file = tmp_path / "state" / TOKEN_FILE
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        async with client_of(diag) as client:
            assert (await client.get(f"{PREFIX}/probes")).status_code == 200


async def test_nothing_but_liveness_readiness_and_the_page_answers_without_the_token(tmp_path):
    async with diagnostics(tmp_path) as diag, client_of(diag, token="") as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/")).headers["content-type"].startswith("text/html")  # which holds nothing of this host
        for path in ("/metrics", f"{PREFIX}/probes", f"{PREFIX}/groups", "/dashboard/", "/nothing/here"):
            response = await client.get(path)
            assert response.status_code == 401, path
            assert response.headers["www-authenticate"].startswith("Bearer")
        token = read_token(tmp_path)
        assert (await client.get("/metrics", params={"access_token": token})).status_code == 401


async def test_without_a_state_directory_the_token_is_with_the_embedder_alone():
    diag = fp.Diagnostics(fp.Settings(host="h1", server=fp.ServerSettings(listen="127.0.0.1:0")))
    async with diag, client_of(diag, token=diag.local_token) as client:
        assert (await client.get("/metrics")).status_code == 200
    assert diag.local_token is None


async def test_the_token_of_the_last_start_is_worth_nothing(tmp_path):
    diag = diagnostics(tmp_path)
    async with diag:
        old = read_token(tmp_path)
    async with diag, client_of(diag, token=old) as client:
        assert (await client.get("/metrics")).status_code == 401


async def test_a_rebound_host_name_is_refused(tmp_path):
    async with diagnostics(tmp_path) as diag, client_of(diag) as client:
        response = await client.get("/metrics", headers={"host": "evil.example"})
        assert (response.status_code, response.json()["code"]) == (421, "host_refused")


async def test_pages_list_every_probe_that_stays_once_while_others_come_and_go(tmp_path):
    dice = random.Random(2)
    diag = diagnostics(tmp_path)
    for number in range(3000):
        diag.add(fp.TcpProbe("127.0.0.1:9"), name=f"p{number:04}", enabled=False)
    staying = {f"p{number:04}" for number in range(3000)}
    seen, params = [], {"page_size": 100, "name": "p*"}
    async with diag, client_of(diag) as client:
        for page in range(1000):
            body = (await client.get(f"{PREFIX}/probes", params=params)).json()
            seen += [item["name"] for item in body["items"]]
            if "nextPageToken" not in body:
                break
            params["page_token"] = body["nextPageToken"]
            for name in [seen[-1], *dice.sample(sorted(staying - {seen[-1]}), 20)]:
                diag.remove(name)
                staying.discard(name)
            diag.add(fp.TcpProbe("127.0.0.1:9"), name=f"p{dice.randrange(3000):04}-{page}", enabled=False)
    assert page >= 20
    assert seen == sorted(set(seen))
    assert staying <= set(seen)


async def test_a_page_of_running_probes_is_the_same_in_json_and_messagepack(tmp_path):
    async with target() as address:
        diag = diagnostics(tmp_path)
        diag.add(fp.TcpProbe(address), name="up", interval="1h", timeout="20s", initial_delay="1h")
        diag.add(fp.TcpProbe("127.0.0.1:1"), name="down", interval="1h", timeout="20s", initial_delay="1h", fall=1)
        async with diag, client_of(diag) as client:
            for name in ("up", "down"):
                for _ in range(5):
                    await diag.run_once(name)
                diag.pause(name)  # so that nothing moves between two looks
            as_json = (await client.get(f"{PREFIX}/probes")).json()["items"]
            packed = await client.get(f"{PREFIX}/probes", headers={"accept": "application/msgpack"})
    items = msgspec.msgpack.decode(packed.content)["items"]
    assert items == as_json
    down, up = items
    assert (up["result"], up["runs"]["fail"], up["successRatio"]) == ("ok", 0, 1.0)
    assert (down["result"], down["reason"], down["runs"]["ok"]) == ("fail", "connect_refused", 0)
    assert (up["runs"]["ok"], down["runs"]["fail"]) == (5, 5)
    assert 0 < up["latencySeconds"] < 20


async def test_run_waits_for_the_result_and_shows_it(tmp_path):
    diag = diagnostics(tmp_path)

    @diag.probe("slow", interval="1h", timeout="5s", initial_delay="1h")
    async def slow():
        await trio.sleep(0.2)
        return fp.Outcome.degraded("87% full")

    async with diag, client_of(diag) as client:
        began = trio.current_time()
        item = (await client.post(f"{PREFIX}/probes/slow:run")).json()["item"]
        assert trio.current_time() - began >= 0.2
    assert (item["result"], item["message"], item["state"]) == ("degraded", "87% full", "degraded")
    assert [recent["result"] for recent in item["recent"]] == ["degraded"]


async def test_a_body_nobody_asked_for_is_forgotten(tmp_path):
    diag = diagnostics(tmp_path)
    diag.add(fp.TcpProbe("127.0.0.1:9"), name="pg", enabled=False)
    async with diag, client_of(diag) as client:
        response = await client.post(f"{PREFIX}/probes/pg:pause", content=b"x" * 100_000)
        assert response.json()["item"]["state"] == "paused"
        refused = await client.post(f"{PREFIX}/probes/pg:pause", content=b"x" * 100_000, headers={"authorization": ""})
        assert refused.status_code == 401


async def test_http2_with_prior_knowledge_answers_the_same(tmp_path):
    diag = diagnostics(tmp_path)
    diag.add(fp.TcpProbe("127.0.0.1:9"), name="pg", enabled=False)
    async with diag, client_of(diag) as old, client_of(diag, http1=False, http2=True) as new:
        first, second = [await client.get(f"{PREFIX}/probes/pg") for client in (old, new)]
    assert (first.http_version, second.http_version) == ("HTTP/1.1", "HTTP/2")
    assert first.json()["item"] == second.json()["item"]


async def test_a_unix_socket_serves_and_goes_with_the_server(tmp_path):
    path = tmp_path / "fp.sock"
    diag = diagnostics(tmp_path, f"unix:{path}")
    async with diag:
        assert diag.address == f"unix:{path}"
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        headers = {"authorization": f"Bearer {read_token(tmp_path)}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://anything", headers=headers, timeout=30) as client:
            assert (await client.get(f"{PREFIX}/probes")).status_code == 200
    assert not path.exists()


async def test_a_port_in_use_is_a_configuration_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        diag = diagnostics(tmp_path, f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(fp.ConfigError, match="is in use"):
            async with diag:
                pass
    assert not (tmp_path / TOKEN_FILE).exists()  # the token of whoever listens there stands


async def test_an_address_others_can_reach_is_refused(tmp_path):
    with pytest.raises(fp.ConfigError, match="no TLS"):
        async with diagnostics(tmp_path, "0.0.0.0:0"):
            pass


async def test_stopping_waits_for_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "GRACE_S", 60.0)  # far beyond what a loaded machine takes
    async with diagnostics(tmp_path) as diag:
        host, _, port = diag.address.rpartition(":")
        idle = await trio.open_tcp_stream(host, int(port))
        began = trio.current_time()
    assert trio.current_time() - began < 20
    await idle.aclose()
