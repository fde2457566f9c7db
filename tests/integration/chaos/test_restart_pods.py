"""Pods, deleted over HTTPS at a server that speaks the routes of Kubernetes which that takes."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.restart import Restart
from meshkit_fastprobe.chaos.restart_budget import RestartBudget
from tests.integration.chaos.namespace import Host

pytestmark = pytest.mark.integration

POD = "/api/v1/namespaces/orders/pods/orders-0"
TOKEN = "eyJhbGciOi.eyJzdWIi.c2ln"


class Cluster(BaseHTTPRequestHandler):
    """One pod, orders/orders-0, of a controller that makes it anew at the second look."""

    server: Api
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._refused():
            return
        pod = self.server.pod
        if self.path != POD or pod is None:
            self._say(404, {"kind": "Status", "message": 'pods "orders-0" not found'})
        else:
            self._say(200, pod)

    def do_POST(self) -> None:
        asked = self._body()
        if self._refused():
            return
        resource = asked["spec"]["resourceAttributes"]
        assert resource == {"namespace": "orders", "verb": "delete", "resource": "pods", "name": "orders-0"}
        self._say(201, {**asked, "status": {"allowed": self.server.may_delete}})

    def do_DELETE(self) -> None:
        asked = self._body()
        if self._refused():
            return
        pod = self.server.pod
        if pod is None:
            self._say(404, {"kind": "Status", "message": "not found"})
        elif asked["preconditions"]["uid"] != pod["metadata"]["uid"]:
            self._say(409, {"kind": "Status", "message": "the UID in the precondition does not match"})
        else:
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self.server.deleted.append(asked)
            self._say(200, pod)

    def _refused(self) -> bool:
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            self._say(401, {"kind": "Status", "message": "Unauthorized"})
            return True
        return False

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def _say(self, status: int, document: object) -> None:
        data = json.dumps(document).encode() if self.server.garbage is None else self.server.garbage
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


class Api(ThreadingHTTPServer):
    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), Cluster)
        self.pod: dict[str, Any] | None = pod("first")
        self.may_delete = True
        self.garbage: bytes | None = None
        self.deleted: list[Any] = []
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.token_file, self.ca_file = directory / "token", directory / "ca.crt"
        self.token_file.write_text(TOKEN + "\n")
        authority.cert_pem.write_to_path(self.ca_file)

    def fault(self, **keys: Any) -> Restart:
        where = {
            "api": f"https://127.0.0.1:{self.server_port}",
            "token_file": str(self.token_file),
            "ca_file": str(self.ca_file),
        }
        return Restart(target="kubernetes:orders/orders-0", **{**where, **keys})

    def handle_error(self, *_: object) -> None:
        """A client that does not trust us hangs up: that is what some tests are about."""


def pod(uid: str, *, ready: bool = True, controller: bool = True) -> dict[str, Any]:
    owners = [{"kind": "StatefulSet", "name": "orders", "controller": True}] if controller else []
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": {"uid": uid, "ownerReferences": owners}, "status": {"phase": "Running", "conditions": conditions}}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with Api(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def budgeted() -> Host:
    return Host(restart_budget=RestartBudget())


async def test_a_pod_is_deleted_and_its_successor_seen(api: Api) -> None:
    fault, host = api.fault(), budgeted()
    assert (await fault.preflight(host))[0].usable
    plan = await fault.plan(host, "r")
    assert plan.handle == {"uid": "first"}
    assert "was not deleted" in (await fault.verify(host, plan)).told
    await fault.apply(host, plan)
    assert [asked["preconditions"] for asked in api.deleted] == [{"uid": "first"}]
    assert "is ending" in (await fault.verify(host, plan)).told
    api.pod = pod("second", ready=False)
    assert not (await fault.verify(host, plan)).in_force
    api.pod = pod("second")
    assert (await fault.verify(host, plan)).in_force
    api.pod = None
    assert "another name" in (await fault.verify(host, plan)).told


async def test_a_pod_that_was_replaced_since_is_not_deleted(api: Api) -> None:
    fault, host = api.fault(), budgeted()
    plan = await fault.plan(host, "r")
    api.pod = pod("second")
    with pytest.raises(FaultError, match="another than was planned"):
        await fault.apply(host, plan)
    assert api.deleted == []


async def test_a_pod_that_is_gone_is_as_good_as_deleted(api: Api) -> None:
    fault, host = api.fault(), budgeted()
    plan = await fault.plan(host, "r")
    api.pod = None
    await fault.apply(host, plan)


async def test_a_pod_without_a_controller_would_not_come_back(api: Api) -> None:
    api.pod = pod("first", controller=False)
    with pytest.raises(FaultError, match="nothing would make it again"):
        await api.fault().plan(budgeted(), "r")


async def test_a_token_that_may_not_delete_is_told_what_it_lacks(api: Api) -> None:
    api.may_delete = False
    (backing,) = await api.fault().preflight(budgeted())
    assert "verb delete on pods" in backing.why


@pytest.mark.parametrize("token", ["", "another", "with space", "two\nlines"])
async def test_a_token_that_is_none_or_wrong_is_not_usable(api: Api, token: str) -> None:
    api.token_file.write_text(token)
    assert not (await api.fault().preflight(budgeted()))[0].usable


async def test_a_server_that_another_authority_vouches_for_never_sees_the_token(api: Api, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(api.ca_file)
    (backing,) = await api.fault().preflight(budgeted())
    assert not backing.usable
    assert "CERTIFICATE_VERIFY_FAILED" in backing.why


@pytest.mark.parametrize(
    "garbage", [b"<html>", b"[]", b"null", b'{"metadata": 3, "status": []}', b'{"metadata": {"ownerReferences": 1}}']
)
async def test_answers_that_make_no_sense_end_calmly(api: Api, garbage: bytes) -> None:
    api.garbage = garbage
    with pytest.raises(FaultError):
        await api.fault().plan(budgeted(), "r")


async def test_a_server_that_is_not_there_is_told(tmp_path: Path, api: Api) -> None:
    (backing,) = await api.fault(api="https://127.0.0.1:1").preflight(budgeted())
    assert "does not answer" in backing.why


async def test_files_that_are_missing_are_told(api: Api) -> None:
    assert "token_file" in (await api.fault(token_file="/nowhere").preflight(budgeted()))[0].why
    assert "ca_file" in (await api.fault(ca_file="/nowhere").preflight(budgeted()))[0].why
