"""What a service hands in of its own: a listener, a TLS context, a place in its ASGI app; and the paths of the original."""

from __future__ import annotations

import socket
import ssl
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import meshkit_fastprobe as fp
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.server.local_token import read_token
from meshkit_fastprobe.server.routes.aliases import ALIASES
from tests.integration.security.conftest import World

pytestmark = pytest.mark.integration

PREFIX = "/meshkit/diagnostics/v1"


def listening(host="127.0.0.1"):
    sock = socket.create_server((host, 0))
    return sock, f"127.0.0.1:{sock.getsockname()[1]}"


def host(state_dir, **server):
    settings = fp.ServerSettings(**{"listen": "127.0.0.1:0", **server})
    chaos = fp.ChaosSettings(experiments=(fp.Experiment(id="drill", fault=Null(), duration_s=30.0, recovery_s=1.0),))
    diag = fp.Diagnostics(fp.Settings(host="h1", state_dir=str(state_dir), server=settings, chaos=chaos))
    diag.add(fp.TcpProbe("127.0.0.1:9"), name="p1", interval=3600, timeout=1)
    return diag


def bearer(diag):
    return {"authorization": f"Bearer {read_token(Path(diag.settings.state_dir))}"}


async def test_a_listener_of_the_service_is_answered_on_and_closed_with_the_host(tmp_path):
    sock, address = listening()
    diag = host(tmp_path)
    fp.ControlEndpoint(diag).listener(sock)
    async with diag:
        assert diag.address == address
        async with httpx.AsyncClient(base_url=f"http://{address}", headers=bearer(diag), timeout=30) as http:
            assert (await http.get(f"{PREFIX}/probes")).json()["items"][0]["name"] == "p1"
    assert sock.fileno() == -1


async def test_a_listener_that_others_can_reach_needs_tls_here_too(tmp_path):
    sock, _ = listening("0.0.0.0")
    diag = host(tmp_path)
    fp.ControlEndpoint(diag).listener(sock)
    with pytest.raises(ConfigError, match="there is no TLS"):
        async with diag:
            pass


def test_what_is_no_listener_or_no_context_of_a_server_is_refused_at_once(tmp_path):
    control = fp.ControlEndpoint(host(tmp_path))
    with socket.socket() as sock, pytest.raises(ConfigError, match="does not listen"):
        control.listener(sock)
    with pytest.raises(ConfigError, match="for clients"):
        control.certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def test_a_context_of_the_service_proves_the_host_and_its_clients(tmp_path):
    world = World(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.tls.cert, world.tls.key)
    context.load_verify_locations(world.tls.client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    settings = world.settings()
    diag = fp.Diagnostics(msgspec.structs.replace(settings, server=fp.ServerSettings(listen="127.0.0.1:0")))
    diag.add(fp.TcpProbe("127.0.0.1:9"), name="orders-db", namespace="orders", interval=3600, timeout=1)
    fp.ControlEndpoint(diag).certificates(context)
    async with diag:
        known = world.client_context("spiffe://mesh/orders")
        async with httpx.AsyncClient(verify=known, http2=True, base_url=f"https://{diag.address}{PREFIX}", timeout=30) as http:
            response = await http.post("/probes/orders-db:pause")
        assert (response.http_version, response.json()["item"]["state"]) == ("HTTP/2", "paused")
        async with httpx.AsyncClient(
            verify=world.client_context(), base_url=f"https://{diag.address}{PREFIX}", timeout=30
        ) as http:
            assert (await http.get("/probes")).status_code == 401


async def test_the_app_is_mounted_in_another_and_answers_while_the_host_runs(tmp_path):
    diag = host(tmp_path, hosts=("service.example",))
    mounted = fp.ControlEndpoint(diag).app()

    async def hello(_request):
        return PlainTextResponse("hello")

    outer = Starlette(routes=[Route("/hello", hello), Mount("/diagnostics", app=mounted)])
    sock, address = listening()
    config, stop = Config(), trio.Event()
    config.bind = [f"fd://{sock.detach()}"]
    config.accesslog = config.errorlog = None
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve, outer, config, shutdown_trigger=stop.wait))
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as http:
            assert (await http.get("/diagnostics/readyz")).status_code == 503
            async with diag:
                assert diag.address == "mounted"
                headers = bearer(diag)
                assert (await http.get("/hello")).text == "hello"
                assert (await http.get("/diagnostics/readyz")).text == "ready\n"
                listed = await http.get(f"/diagnostics{PREFIX}/probes", headers=headers)
                assert [item["name"] for item in listed.json()["items"]] == ["p1"]
                assert (await http.get(f"/diagnostics{PREFIX}/probes")).status_code == 401
                rebound = await http.get(f"/diagnostics{PREFIX}/probes", headers={**headers, "host": "evil.example"})
                assert rebound.status_code == 421
                paused = await http.post(f"/diagnostics{PREFIX}/probes/p1:pause", headers=headers)
                assert paused.json()["item"]["state"] == "paused"
            assert (await http.get("/diagnostics/readyz")).status_code == 503
        stop.set()


async def test_the_paths_of_the_original_are_off_until_they_are_asked_for(tmp_path):
    diag = host(tmp_path)
    async with diag, httpx.AsyncClient(base_url=f"http://{diag.address}", headers=bearer(diag), timeout=30) as http:
        for method, path in ALIASES:
            assert (await http.request(method, path.replace("{name}", "drill"))).status_code == 404


async def test_the_paths_of_the_original_ask_for_the_same_identity_and_the_same_confirmation(tmp_path):
    diag = host(tmp_path, aliases=True)
    async with diag, httpx.AsyncClient(base_url=f"http://{diag.address}", timeout=30) as http:
        for method, path in ALIASES:
            assert (await http.request(method, path.replace("{name}", "drill"))).status_code == 401
        http.headers.update(bearer(diag))
        listed = (await http.get("/omnirelay/control/probes")).json()["items"]
        assert listed == (await http.get(f"{PREFIX}/probes")).json()["items"]
        for toggle in ("chaos.enabled", "chaos.null.enabled"):
            await http.put(f"{PREFIX}/toggles/{toggle}", json={"value": True}, headers={"if-match": "*"})
        start = "/omnirelay/control/chaos/drill:start"
        assert (await http.post(start, json={"token": "guessed"})).json()["code"] == "chaos_wrong_phase"
        prepared = (await http.post(f"{PREFIX}/chaos/experiments/drill:prepare")).json()["item"]
        assert (await http.post(start, json={"token": "guessed"})).json()["code"] == "confirmation_refused"
        started = await http.post(start, json={"token": prepared["confirmation"]["token"]})
        assert started.json()["item"]["phase"] == "active"
        stopped = await http.post("/omnirelay/control/chaos/drill:stop")
        assert stopped.json()["item"]["phase"] in {"aborted", "completed"}
        audit = (await http.get(f"{PREFIX}/audit", params={"page_size": 100})).json()["items"]
        assert {"chaos.prepare", "chaos.activate", "chaos.stop"} <= {item["action"] for item in audit}
