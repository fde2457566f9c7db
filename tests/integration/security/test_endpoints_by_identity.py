"""Who may ask what, over TLS, by HTTP/1.1 and HTTP/2: tokens, certificates, roles, and what is written down."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import msgspec
import pytest
from joserfc import jwk

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import Binding, SecuritySettings
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.security.audit_chain import Verdict
from meshkit_fastprobe.security.audit_store import verify
from meshkit_fastprobe.security.tokens import LEEWAY_S
from meshkit_fastprobe.server import events, routes
from meshkit_fastprobe.server.dashboard import FILES
from meshkit_fastprobe.server.routes import ROUTES, Over

pytestmark = pytest.mark.integration

PREFIX = "/meshkit/diagnostics/v1"
PROBES = {"orders-db": "orders", "orders-api": "orders", "secret-pay": "pay", "edge": "edge"}


@asynccontextmanager
async def host(world, **changes):
    experiment = fp.Experiment(id="orders-db", fault=Null(), duration_s=1.0)
    diag = fp.Diagnostics(world.settings(chaos=fp.ChaosSettings(experiments=(experiment,)), **changes))
    for name, namespace in PROBES.items():
        diag.add(fp.TcpProbe("127.0.0.1:9"), name=name, namespace=namespace, interval=3600, timeout=1)
    async with diag:
        yield diag


@asynccontextmanager
async def client(diag, context, token=None, **options):
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=f"https://{diag.address}{PREFIX}", verify=context, headers=headers, **options
    ) as http:
        yield http


async def ask(diag, world, method, path, token=None, context=None):
    async with client(diag, context or world.client_context(), token) as http:
        return await http.request(method, path)


def names(response):
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["items"]]


@pytest.mark.parametrize("http2", [False, True])
async def test_both_protocols_answer_on_the_same_port(world, http2):
    async with host(world) as diag, client(diag, world.client_context(), world.token(), http1=not http2, http2=http2) as http:
        response = await http.get("/probes")
        assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        assert names(response) == sorted(PROBES)


@pytest.mark.parametrize("http2", [False, True])
async def test_every_route_refuses_every_bad_identity(world, http2):
    """The table of routes itself is walked: a route that is added is tried too."""
    stranger = jwk.ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"})
    shared = jwk.OctKey.import_key("a" * 32)
    tampered = world.token()[:-4] + "AAAA"
    bad = {
        "none": None,
        "nonsense": "nonsense",
        "expired": world.token(exp=1),
        "of another audience": world.token(aud="billing"),
        "of another issuer": world.token(iss="https://elsewhere"),
        "signed by a stranger": world.token(key=stranger),
        "signed with a shared secret": world.token(key=shared, alg="HS256"),
        "tampered with": tampered,
    }
    async with host(world) as diag:
        for spec in ROUTES:
            if spec.path.startswith(FILES):  # the page's own, by their names
                continue
            path = ("" if not spec.resource else PREFIX) + spec.path.replace("{name}", "orders-db")
            for why, token in bad.items():
                async with client(diag, world.client_context(), token, http1=not http2, http2=http2) as http:
                    response = await http.request(spec.method, f"https://{diag.address}{path}")
                if spec.permission is None:
                    assert response.status_code == 200, path
                else:
                    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated"), (path, why)


async def test_every_route_refuses_who_has_no_role(world):
    async with host(world) as diag:
        for spec in ROUTES:
            if spec.path.startswith(FILES):  # the page's own, by their names
                continue
            path = ("" if not spec.resource else PREFIX) + spec.path.replace("{name}", "orders-db")
            response = await ask(diag, world, spec.method, f"https://{diag.address}{path}", world.token("nobody"))
            expected = 200 if spec.permission is None else 404 if spec.over in {Over.PROBE, Over.EXPERIMENT} else 403
            assert response.status_code == expected, path
        records, _ = await diag.endpoints.audit.newest(None, 1000, {"actor": "user:nobody", "result": "denied"})
        refused = {record.entry.action for record in records}
        assert refused == {spec.permission for spec in ROUTES if spec.permission is not None}


async def test_a_listing_shows_only_what_may_be_read(world):
    async with host(world) as diag:
        assert names(await ask(diag, world, "GET", "/probes", world.token("bert"))) == ["orders-api", "orders-db"]
        assert names(await ask(diag, world, "GET", "/probes", world.token("carl"))) == ["edge", "orders-api", "orders-db"]
        assert names(await ask(diag, world, "GET", "/probes", world.token("anna"))) == sorted(PROBES)
        page = await ask(diag, world, "GET", "/probes?page_size=2", world.token("carl"))
        rest = await ask(diag, world, "GET", f"/probes?page_token={page.json()['nextPageToken']}", world.token("carl"))
        assert names(page) + names(rest) == ["edge", "orders-api", "orders-db"]


async def test_groups_leave_out_what_counts_a_hidden_probe(world):
    async with host(world) as diag:

        async def namespaces(name):
            response = await ask(diag, world, "GET", "/groups?by=namespace", world.token(name))
            return [group["tags"]["namespace"] for group in response.json()["items"]]

        assert await namespaces("anna") == ["edge", "orders", "pay"]
        assert await namespaces("bert") == ["orders"]
        assert await namespaces("carl") == ["edge", "orders"]


async def test_what_may_not_be_seen_is_answered_like_what_does_not_exist(world):
    async with host(world) as diag:
        for verb in ("", ":run", ":pause", ":resume"):
            method = "POST" if verb else "GET"
            hidden = await ask(diag, world, method, f"/probes/secret-pay{verb}", world.token("bert"))
            absent = await ask(diag, world, method, f"/probes/secret-xyz{verb}", world.token("bert"))
            assert (hidden.status_code, absent.status_code) == (404, 404)
            assert hidden.text.replace("secret-pay", "") == absent.text.replace("secret-xyz", "")


async def test_what_is_seen_and_may_not_be_done_is_forbidden_and_not_done(world):
    async with host(world) as diag:
        response = await ask(diag, world, "POST", "/probes/orders-db:pause", world.token("bert"))
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
        assert diag.view("orders-db").state is not fp.State.PAUSED


async def test_a_client_certificate_is_an_identity_within_its_scope(world):
    mine = world.client_context("spiffe://mesh/orders")
    async with host(world) as diag:
        assert names(await ask(diag, world, "GET", "/probes", context=mine)) == ["orders-api", "orders-db"]
        assert (await ask(diag, world, "POST", "/probes/orders-db:pause", context=mine)).status_code == 200
        assert (await ask(diag, world, "POST", "/probes/edge:pause", context=mine)).status_code == 404
        assert (await ask(diag, world, "GET", "/probes", "bad token", context=mine)).status_code == 401
        [record], _ = await diag.endpoints.audit.newest(None, 1, {"action": "probe.pause"})
    assert (record.entry.actor, record.entry.scope) == ("user:spiffe://mesh/orders", "orders-db")


async def test_a_certificate_of_another_authority_is_refused_in_the_handshake(world):
    import trustme

    stranger = world.client_context("spiffe://mesh/orders", authority=trustme.CA())
    async with host(world) as diag:
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            await ask(diag, world, "GET", "/probes", context=stranger)
        assert names(await ask(diag, world, "GET", "/probes", world.token()))


async def test_a_change_is_on_record_and_the_chain_verifies(world):
    async with host(world) as diag:
        assert (await ask(diag, world, "POST", "/probes/orders-db:pause", world.token("anna"))).status_code == 200
        assert (await ask(diag, world, "GET", "/audit", world.token("anna"))).status_code == 403
        response = await ask(diag, world, "GET", "/audit?action=probe.pause", diag.local_token)
        [item] = response.json()["items"]
        assert (item["actor"], item["scope"], item["result"]) == ("user:anna", "orders-db", "allowed")
        metrics = await ask(diag, world, "GET", f"https://{diag.address}/metrics", diag.local_token)
    assert 'decisions_total{permission="probes.write",decision="allow"} 1' in metrics.text
    assert 'decisions_total{permission="audit.read",decision="deny"} 1' in metrics.text
    report = verify(world.directory / "state" / "audit")
    assert (report.verdict, report.records) == (Verdict.INTACT, 2)


async def test_without_a_record_nothing_is_done(world, monkeypatch):
    async with host(world) as diag:
        diag.endpoints.audit, kept = None, diag.endpoints.audit
        response = await ask(diag, world, "POST", "/probes/orders-db:pause", world.token("anna"))
        diag.endpoints.audit = kept
        assert (response.status_code, response.json()["code"]) == (503, "audit_unavailable")
        assert diag.view("orders-db").state is not fp.State.PAUSED


async def test_bindings_are_replaced_whole_while_running(world):
    async with host(world) as diag:
        assert (await ask(diag, world, "GET", "/probes", world.token("dora"))).status_code == 403
        bindings = (Binding("user:dora", "viewer"),)
        diag.gate.replace(msgspec.structs.replace(world.security, bindings=bindings))
        assert names(await ask(diag, world, "GET", "/probes", world.token("dora"))) == sorted(PROBES)
        assert (await ask(diag, world, "GET", "/probes", world.token("anna"))).status_code == 403


async def test_the_local_user_may_be_given_less(world):
    async with host(world, security=SecuritySettings(local_role="viewer")) as diag:
        assert names(await ask(diag, world, "GET", "/probes", diag.local_token)) == sorted(PROBES)
        assert (await ask(diag, world, "POST", f"/probes/{quote('orders-db')}:pause", diag.local_token)).status_code == 403


async def test_audit_pages_go_back_to_the_first_record(world):
    async with host(world) as diag, client(diag, world.client_context(), diag.local_token) as http:
        for _ in range(7):
            assert (await http.post("/probes/edge:pause")).status_code == 200
        seen, path = [], "/audit?page_size=3"
        while path:
            body = (await http.get(path)).json()
            seen += [item["seq"] for item in body["items"]]
            token = body.get("nextPageToken")
            path = token and f"/audit?page_size=3&page_token={token}"
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_requests_are_logged_with_who_asked_and_without_what_they_carried(world, caplog):
    caplog.set_level("DEBUG", "meshkit_fastprobe.access")
    async with host(world) as diag:
        token = world.token("anna")
        assert (await ask(diag, world, "POST", "/probes/edge:pause", token)).status_code == 200
        assert (await ask(diag, world, "GET", "/probes?namespace=edge", token)).status_code == 200
        assert (await ask(diag, world, "GET", "/audit", "hunter2")).status_code == 401
        metrics = await ask(diag, world, "GET", f"https://{diag.address}/metrics", diag.local_token)
        told = [
            (record.levelname, record.principal, record.method, record.path.removeprefix(PREFIX), record.status)
            for record in caplog.records
            if record.name == "meshkit_fastprobe.access"
        ]
        assert told[:3] == [
            ("INFO", "user:anna", "POST", "/probes/edge:pause", 200),
            ("DEBUG", "user:anna", "GET", "/probes", 200),
            ("INFO", "nobody", "GET", "/audit", 401),
        ]
        for secret in ("hunter2", token, diag.local_token, "namespace=edge"):
            assert secret not in caplog.text
    sample = 'requests_total{route="/probes/{name}:pause",method="POST",protocol="1.1",status="200"} 1'
    assert sample in metrics.text
    assert 'request_duration_seconds_count{route="/probes"} 1' in metrics.text


async def test_a_stream_ends_once_its_token_is_good_no_longer(world, monkeypatch):
    monkeypatch.setattr(routes.events, "PROVEN_FOR_S", 0.2)
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.2)
    ending = world.token("anna", exp=int(time.time()) + 3 - LEEWAY_S)
    async with host(world) as diag, client(diag, world.client_context(), ending, timeout=20) as http:
        async with http.stream("GET", "/events") as stream:
            assert stream.status_code == 200
            text = "".join([part async for part in stream.aiter_text()])
        assert (await http.get("/probes")).status_code == 401
    assert text.rstrip().endswith('event: end\ndata: {"reason":"identity"}')
