"""The OpenAPI document against the app itself: what it promises is what comes."""

from __future__ import annotations

import jsonschema
import pytest

import meshkit_fastprobe as fp
from meshkit_fastprobe.server.routes import ROUTES

PREFIX = "/meshkit/diagnostics/v1"


@pytest.fixture
def document(client, diag):
    for number in range(3):
        diag.add(fp.TcpProbe(f"10.0.0.{number}:1"), name=f"pg-{number}", namespace="orders", labels={"tier": "db"})
    diag.pause("pg-2")
    return client.get("openapi.json").json()


def operation_of(document, route):
    path = (PREFIX if route.resource else "") + route.path
    return document["paths"][path][route.method.lower()]


def test_every_route_is_there_and_no_other(document):
    told = {(path, method) for path, operations in document["paths"].items() for method in operations}
    assert told == {((PREFIX if route.resource else "") + route.path, route.method.lower()) for route in ROUTES}
    names = [operation_of(document, route)["operationId"] for route in ROUTES]
    assert len(set(names)) == len(names)


def test_only_liveness_and_readiness_need_no_bearer(document):
    for route in ROUTES:
        assert (operation_of(document, route).get("security") == []) is (route.permission is None)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "probes", "/probes"),
        ("GET", "probes?page_size=1", "/probes"),
        ("GET", "probes/pg-0", "/probes/{name}"),
        ("POST", "probes/pg-0:pause", "/probes/{name}:pause"),
        ("POST", "probes/pg-0:resume", "/probes/{name}:resume"),
        ("GET", "groups?by=tier&window=5m", "/groups"),
        ("GET", "toggles", "/toggles"),
        ("GET", "audit", "/audit"),
    ],
)
def test_answers_are_as_described(client, document, method, path, route):
    response = client(method, path)
    assert response.status_code == 200
    operation = document["paths"][PREFIX + route][method.lower()]
    schema = {**operation["responses"]["200"]["content"]["application/json"]["schema"], "components": document["components"]}
    jsonschema.validate(response.json(), schema)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "probes?stat=1"), ("GET", "probes/none"), ("POST", "reload"), ("GET", "no")]
)
def test_problems_are_as_described(client, document, method, path):
    response = client(method, path)
    assert response.status_code >= 400
    jsonschema.validate(response.json(), document["components"]["schemas"]["Problem"])


def test_the_document_itself_is_openapi(document):
    assert document["openapi"] == "3.1.0"
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
