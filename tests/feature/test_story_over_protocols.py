"""One operator's story over HTTP/1.1, HTTP/2, HTTP/3 and gRPC: the same questions, the same answers, the same refusals."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import httpx
import msgspec
import pytest

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import Binding
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.security.audit_store import verify
from tests.integration.grpc_caller import caller, in_thread
from tests.integration.http3_client import http3_client, trusting
from tests.integration.security.conftest import World

pytestmark = pytest.mark.feature

PREFIX = "/meshkit/diagnostics/v1"


class Told(msgspec.Struct):
    """problem: the stable code of a refusal, else None."""

    problem: str | None
    item: dict[str, Any] = {}
    items: list[dict[str, Any]] = []


def told_of(status, body):
    content = msgspec.json.decode(body)
    if status >= 400:
        return Told(content["code"])
    return Told(None, content.get("item", {}), content.get("items", []))


class OverHttp:
    """httpx, for the versions that it speaks."""

    def __init__(self, http):
        self._http = http

    async def ask(self, method, path, *, query=None, body=None, version=None):
        headers = {} if version is None else {"if-match": str(version)}
        content = None if body is None else msgspec.json.encode(body)
        response = await self._http.request(method, PREFIX + path, params=query, content=content, headers=headers)
        return told_of(response.status_code, response.content)


class OverHttp3:
    def __init__(self, client, token):
        self._client = client
        self._headers = [("authorization", f"Bearer {token}")]

    async def ask(self, method, path, *, query=None, body=None, version=None):
        headers = self._headers + ([] if version is None else [("if-match", str(version))])
        target = str(httpx.URL(PREFIX + path, params=query)) if query else PREFIX + path
        answer = await self._client.ask(method, target, headers, b"" if body is None else msgspec.json.encode(body))
        return told_of(answer.status, answer.body)


class OverGrpc:
    """The same questions as methods: what stands in a path, a query or a body are fields there."""

    METHODS: ClassVar = {
        "GET /probes": "ListProbes",
        "GET /probes/NAME": "GetProbe",
        "POST /probes/NAME:run": "RunProbe",
        "POST /probes/NAME:pause": "PauseProbe",
        "POST /probes/NAME:resume": "ResumeProbe",
        "GET /groups": "ListGroups",
        "GET /toggles": "ListToggles",
        "PUT /toggles/NAME": "SetToggle",
        "POST /chaos/experiments/NAME:prepare": "PrepareExperiment",
        "POST /chaos/experiments/NAME:activate": "ActivateExperiment",
        "POST /chaos/experiments/NAME:stop": "StopExperiment",
        "POST /chaos:halt": "HaltChaos",
        "POST /chaos:resume": "ResumeChaos",
        "GET /audit": "ListAudit",
    }

    def __init__(self, asked):
        self._asked = asked

    async def ask(self, method, path, *, query=None, body=None, version=None):
        given = {**(query or {}), **(body or {})}
        parts = path.split("/")
        if len(parts) > 2 and (parts[1] in {"probes", "toggles"} or parts[1:3] == ["chaos", "experiments"]):
            given["name"], _, verb = parts[-1].partition(":")
            path = "/".join([*parts[:-1], "NAME" + (f":{verb}" if verb else "")])
        if version is not None:
            given |= {"anyVersion": True} if version == "*" else {"version": int(str(version).strip('"'))}
        try:
            answer = await in_thread(self._asked.call, self.METHODS[f"{method} {path}"], given)
        except grpc.RpcError as error:
            return Told(dict(error.trailing_metadata())["meshkit-code"])
        return Told(None, answer.get("item", {}), answer.get("items", []))


@asynccontextmanager
async def over_http(world, address, token, *, http2):
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=f"https://{address}", verify=world.client_context(), http1=not http2, http2=http2, headers=headers, timeout=30
    ) as http:
        yield OverHttp(http)


@asynccontextmanager
async def over_http1(world, address, token):
    async with over_http(world, address, token, http2=False) as asked:
        yield asked


@asynccontextmanager
async def over_http2(world, address, token):
    async with over_http(world, address, token, http2=True) as asked:
        yield asked


@asynccontextmanager
async def over_http3(world, address, token):
    async with http3_client(address, trusting(world.authority)) as client:
        yield OverHttp3(client, token)


@asynccontextmanager
async def over_grpc(world, address, token):
    credentials = grpc.ssl_channel_credentials(world.authority.cert_pem.bytes())
    with caller(address, token, credentials) as asked:
        yield OverGrpc(asked)


@asynccontextmanager
async def cluster_host(tmp_path):
    world = World(tmp_path)
    bindings = (*world.security.bindings, Binding("user:root", "admin"))
    security = msgspec.structs.replace(world.security, bindings=bindings)
    experiment = fp.Experiment(id="drill", fault=Null(), duration_s=60.0, recovery_s=1.0)
    chaos = fp.ChaosSettings(experiments=(experiment,), cooldown_s=0.0)
    diag = fp.Diagnostics(world.settings(security=security, chaos=chaos))
    for number, namespace in enumerate(["orders", "orders", "pay"]):
        diag.add(fp.TcpProbe("127.0.0.1:1"), name=f"p{number}", namespace=namespace, interval=3600, timeout=1, fall=1)
    async with diag:
        yield world, diag


@pytest.fixture(autouse=True)
def level_as_it_was():
    """The story turns the log up, which the whole process hears."""
    log = logging.getLogger("meshkit_fastprobe")
    before = log.level
    yield
    log.setLevel(before)


@pytest.mark.parametrize("protocol", [over_http1, over_http2, over_http3, over_grpc], ids=["h1", "h2", "h3", "grpc"])
class TestOneStory:
    """What an operator does in a night, and what others may not."""

    async def test_probes_are_found_run_paused_and_resumed(self, tmp_path, protocol):
        async with cluster_host(tmp_path) as (world, diag), protocol(world, diag.address, world.token("root")) as host:
            listed = await host.ask("GET", "/probes", query={"namespace": "orders"})
            assert [item["name"] for item in listed.items] == ["p0", "p1"]
            ran = await host.ask("POST", "/probes/p0:run")
            assert (ran.item["state"], ran.item["reason"]) == ("unhealthy", "connect_refused")
            assert (await host.ask("GET", "/probes/p0")).item["state"] == "unhealthy"
            assert (await host.ask("POST", "/probes/p0:pause")).item["state"] == "paused"
            assert (await host.ask("POST", "/probes/p0:resume")).item["state"] != "paused"
            groups = await host.ask("GET", "/groups", query={"by": "namespace"})
            assert sorted(group["tags"]["namespace"] for group in groups.items) == ["orders", "pay"]
            assert (await host.ask("GET", "/probes/nobody")).problem == "unknown_probe"
            assert (await host.ask("GET", "/probes", query={"state": "odd"})).problem == "invalid_parameter"

    async def test_a_switch_is_changed_by_whoever_knows_what_it_is(self, tmp_path, protocol):
        async with cluster_host(tmp_path) as (world, diag), protocol(world, diag.address, world.token("root")) as host:
            toggles = {item["name"]: item for item in (await host.ask("GET", "/toggles")).items}
            version = toggles["log.level"].get("version", 0)
            change = {"value": "debug", "reason": "to see more"}
            assert (await host.ask("PUT", "/toggles/log.level", body=change)).problem == "version_needed"
            assert (await host.ask("PUT", "/toggles/log.level", body=change, version='"99"')).problem == "version_mismatch"
            changed = await host.ask("PUT", "/toggles/log.level", body=change, version=f'"{version}"')
            assert (changed.item["value"], changed.item["changedBy"]) == ("debug", "user:root")
            assert (
                await host.ask("PUT", "/toggles/log.level", body=change, version=f'"{version}"')
            ).problem == "version_mismatch"
            assert (await host.ask("PUT", "/toggles/nothing", body=change, version="*")).problem == "unknown_toggle"

    async def test_an_experiment_is_prepared_confirmed_stopped_and_all_is_halted(self, tmp_path, protocol):
        async with cluster_host(tmp_path) as (world, diag), protocol(world, diag.address, world.token("root")) as host:
            drill = "/chaos/experiments/drill"
            assert (await host.ask("POST", f"{drill}:prepare")).problem == "chaos_refused"
            for toggle in ("chaos.enabled", "chaos.null.enabled"):
                assert (await host.ask("PUT", f"/toggles/{toggle}", body={"value": True}, version="*")).problem is None
            prepared = await host.ask("POST", f"{drill}:prepare", body={"reason": "a drill"})
            token = prepared.item["confirmation"]["token"]
            wrong = await host.ask("POST", f"{drill}:activate", body={"token": token[:-2] + "__"})
            assert wrong.problem == "confirmation_refused"
            assert (await host.ask("POST", f"{drill}:activate", body={"token": token})).item["phase"] == "active"
            again = await host.ask("POST", f"{drill}:activate", body={"token": token})
            assert again.problem == "chaos_wrong_phase"
            assert (await host.ask("POST", f"{drill}:stop", body={"reason": "seen enough"})).item["phase"] == "aborted"
            assert (await host.ask("POST", "/chaos:halt", body={"reason": "an alarm"})).item["halted"] is True
            assert (await host.ask("POST", f"{drill}:prepare")).problem == "chaos_refused"
            assert (await host.ask("POST", "/chaos:resume", body={"reason": "it was nothing"})).problem is None
            actions = {item["action"] for item in (await host.ask("GET", "/audit", query={"page_size": 100})).items}
            assert {"toggle.set", "chaos.prepare", "chaos.activate", "chaos.stop", "chaos.halt", "chaos.resume"} <= actions

    async def test_who_may_only_look_is_told_so_and_it_is_written_down(self, tmp_path, protocol):
        async with cluster_host(tmp_path) as (world, diag):
            async with protocol(world, diag.address, world.token("bert")) as host:
                assert [item["name"] for item in (await host.ask("GET", "/probes")).items] == ["p0", "p1"]
                assert (await host.ask("GET", "/probes/p2")).problem == "unknown_probe"
                assert (await host.ask("POST", "/probes/p0:pause")).problem == "forbidden"
                assert (await host.ask("POST", "/chaos:halt", body={})).problem == "forbidden"
                assert (await host.ask("GET", "/audit")).problem == "forbidden"
            async with protocol(world, diag.address, world.token(exp=1)) as host:
                assert (await host.ask("GET", "/probes")).problem == "unauthenticated"
            async with protocol(world, diag.address, world.token("root")) as host:
                denied = (await host.ask("GET", "/audit", query={"result": "denied"})).items
        told = {(item["actor"], item["action"]) for item in denied}
        assert {("user:bert", "probes.write"), ("user:bert", "chaos.halt"), ("user:bert", "audit.read")} <= told
        assert any(action == "authenticate" for _, action in told)
        assert verify(tmp_path / "state" / "audit").verdict.name == "INTACT"
