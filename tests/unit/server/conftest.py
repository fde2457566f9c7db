import json

import httpx
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.security.audit import Audit
from meshkit_fastprobe.server.app import build_app
from meshkit_fastprobe.server.identity import Identities

PREFIX = "/meshkit/diagnostics/v1"


@pytest.fixture
def diag():
    """Not started: no threads, no sockets."""
    return fp.Diagnostics(fp.Settings(host="h1", cluster="eu-1", max_probes=4096))


class Client:
    """One request at a time to the app, in memory, with the token. A path without a leading slash is below the prefix."""

    def __init__(self, diag, identities=None, **options):
        self.diag = diag
        self.app = build_app(diag, identities or Identities("secret"), **options)

    def __call__(self, method, path, **headers):
        return trio.run(self._request, method, path, headers)

    def get(self, path, **headers):
        return self("GET", path, **headers)

    async def _request(self, method, path, headers):
        path = path if path.startswith("/") else f"{PREFIX}/{path}"
        sent = {"authorization": "Bearer secret", **{name.replace("_", "-"): value for name, value in headers.items()}}
        transport = httpx.ASGITransport(self.app)
        async with (
            Audit(None, boot_id="boot") as audit,
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
        ):
            self.diag.endpoints.audit = audit
            try:
                return await http.request(method, path, headers=sent)
            finally:
                self.diag.endpoints.audit = None

    def problem(self, method, path, **headers):
        response = self(method, path, **headers)
        assert response.headers["content-type"] == "application/problem+json"
        body = json.loads(response.content)
        assert body["status"] == response.status_code
        assert body["type"] == f"urn:meshkit:problem:{body['code']}"
        assert body["title"]
        assert body["hint"]
        return body


@pytest.fixture
def client(diag):
    return Client(diag)
