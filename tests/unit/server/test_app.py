"""The app in memory over a Diagnostics that is not started."""

import math
import re
from urllib.parse import quote

import msgspec
import pytest

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.server import envelope
from meshkit_fastprobe.server.dashboard import FILES
from meshkit_fastprobe.server.routes import ROUTES

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def fleet(diag):
    """Twelve probes: 4 of edge (http, tier=web), 8 of orders (tcp, tier=db and zone=a or b)."""
    for number in range(4):
        diag.add(fp.HttpProbe(f"http://10.0.0.{number}:8080/healthz"), namespace="edge", labels={"tier": "web"})
    for number in range(8):
        labels = {"tier": "db", "zone": "ab"[number % 2]}
        diag.add(fp.TcpProbe(f"10.0.1.{number}:5432"), name=f"pg-{number}", namespace="orders", labels=labels)
    diag.pause("pg-7")
    return diag


def names(response):
    assert response.status_code == 200
    return [item["name"] for item in response.json()["items"]]


def test_the_envelope_is_the_house_one(client, fleet):
    response = client.get("probes?page_size=1")
    body = response.json()
    assert list(body) == ["schemaVersion", "generatedAt", "host", "items", "nextPageToken"]
    assert (body["schemaVersion"], body["host"]) == (1, "h1")
    assert RFC3339.fullmatch(body["generatedAt"])
    assert response.headers["content-type"] == "application/json"
    assert response.headers["vary"] == "accept, accept-encoding"


def test_a_probe_that_never_ran_says_nothing_about_results(client, fleet):
    [item] = client.get("probes?name=pg-0").json()["items"]
    assert item | {"since": "…"} == {
        "name": "pg-0",
        "kind": "tcp",
        "lane": "native",
        "target": "10.0.1.0:5432",
        "cluster": "eu-1",
        "namespace": "orders",
        "labels": {"tier": "db", "zone": "a"},
        "state": "unknown",
        "since": "…",
        "stale": False,
        "suppressed": False,
        "flapping": False,
        "maintenance": False,
        "intervalSeconds": 10.0,
        "timeoutSeconds": 1.0,
        "runs": {"ok": 0, "degraded": 0, "fail": 0, "timeout": 0, "error": 0},
        "skipped": 0,
        "transitions": 0,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 12),
        ("cluster=eu-1", 12),
        ("cluster=eu-2", 0),
        ("namespace=orders", 8),
        ("kind=http", 4),
        ("state=paused", 1),
        ("state=healthy", 0),
        ("name=pg-*", 8),
        ("name=pg-[0-3]", 4),
        ("name=http:*/healthz", 4),
        ("label=tier%3Ddb", 8),
        ("label=tier=db&label=zone=b", 4),
        ("label=tier=db&label=zone=b&state=paused", 1),
        ("namespace=edge&kind=tcp", 0),
    ],
)
def test_filters_hold_together(client, fleet, query, expected):
    assert len(names(client.get(f"probes?{query}"))) == expected


def test_probes_come_in_the_order_of_their_names_page_by_page(client, fleet):
    seen, path = [], "probes?page_size=5"
    while True:
        response = client.get(path)
        seen += names(response)
        token = response.json().get("nextPageToken")
        if token is None:
            break
        path = f"probes?page_size=5&page_token={token}"
    assert seen == sorted(probe.name for probe in fleet.catalog)


def test_the_last_full_page_has_no_token(client, fleet):
    assert "nextPageToken" not in client.get("probes?page_size=12").json()
    assert "nextPageToken" in client.get("probes?page_size=11").json()


def test_a_token_whose_probe_has_gone_goes_on_behind_it(client, fleet):
    first = client.get("probes?name=pg-*&page_size=3")
    assert names(first)[-1] == "pg-2"
    fleet.remove("pg-2")
    fleet.remove("pg-3")
    fleet.add(fp.TcpProbe("10.0.2.1:1"), name="pg-2a")
    fleet.add(fp.TcpProbe("10.0.2.2:1"), name="pg-0a")  # behind us: not shown any more
    rest = client.get(f"probes?name=pg-*&page_size=10&page_token={first.json()['nextPageToken']}")
    assert names(rest) == ["pg-2a", "pg-4", "pg-5", "pg-6", "pg-7"]


def test_a_token_with_other_filters_is_a_problem(client, fleet):
    token = client.get("probes?page_size=3").json()["nextPageToken"]
    assert client.problem("GET", f"probes?state=paused&page_token={token}")["code"] == "invalid_page_token"
    assert client.problem("GET", "probes?page_token=nonsense")["code"] == "invalid_page_token"


def timeless(body):
    """Without what differs between two requests."""
    del body["generatedAt"]
    for item in body.get("items", []):
        item.pop("seconds", None)
        item.pop("ratePerSecond", None)
    return body


@pytest.mark.parametrize("accept", ["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"])
@pytest.mark.parametrize("path", ["probes", "probes/pg-0", "groups", "groups?by=kind,tier"])
def test_messagepack_says_the_same_as_json(client, fleet, path, accept):
    packed = client.get(path, accept=accept)
    assert packed.headers["content-type"] == "application/msgpack"
    assert timeless(msgspec.msgpack.decode(packed.content)) == timeless(client.get(path).json())


@pytest.mark.parametrize(
    ("path", "code", "named"),
    [
        ("probes?colour=red&size=2", "unknown_parameter", "colour, size"),
        ("probes?page_size=0", "invalid_parameter", "page_size"),
        ("probes?page_size=10001", "invalid_parameter", "page_size"),
        ("probes?state=sick", "invalid_parameter", "state"),
        ("probes?label=tier", "invalid_parameter", "label"),
        ("probes?name=a&name=b", "invalid_parameter", "name"),
        ("probes/pg-0?verbose=1", "unknown_parameter", "verbose"),
        ("groups?by=cluster,,kind", "invalid_parameter", "by"),
        ("groups?by=kind,kind", "invalid_parameter", "by"),
        ("groups?window=2m", "invalid_parameter", "window"),
        ("/metrics?per_probe=maybe", "invalid_parameter", "per_probe"),
    ],
)
def test_what_is_asked_wrongly_is_named(client, fleet, path, code, named):
    problem = client.problem("GET", path)
    assert (problem["status"], problem["code"]) == (400, code)
    assert named in problem["detail"]


AWKWARD = [
    "http:http://10.0.0.1:8080/healthz",
    "a/b",
    "a//b",
    "ends:run",
    "ends/",
    "[::1]:80",
    "ü ✓",
    "100%",
    "a?b#c",
    "tcp:/run/x.sock",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_names_with_slashes_colons_and_worse_are_found(client, diag, name):
    diag.add(fp.TcpProbe("10.0.0.1:80"), name=name)
    for safe in ("", "/:"):
        item = client.get(f"probes/{quote(name, safe=safe)}").json()["item"]
        assert item["name"] == name
        assert item["recent"] == []
    assert client("POST", f"probes/{quote(name, safe='')}:pause").json()["item"]["state"] == "paused"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "probes/no"), ("POST", "probes/no:pause"), ("POST", "probes/no:resume"), ("POST", "probes/no:run")],
)
def test_an_unknown_probe_is_404_and_says_how_to_find_one(client, fleet, method, path):
    problem = client.problem(method, path)
    assert (problem["status"], problem["code"]) == (404, "unknown_probe")
    assert "GET /probes" in problem["hint"]


def test_pause_and_resume_change_the_state(client, fleet):
    assert client("POST", "probes/pg-0:pause").json()["item"]["state"] == "paused"
    assert fleet.snapshot()["pg-0"].state is fp.State.PAUSED
    assert client("POST", "probes/pg-0:resume").json()["item"]["state"] == "unknown"


def test_running_a_probe_of_a_diagnostics_that_is_not_running_is_503(client, fleet):
    assert client.problem("POST", "probes/pg-0:run")["code"] == "not_ready"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "probes", "GET"),
        ("DELETE", "probes/pg-0", "GET"),
        ("GET", "groups:run", None),
        ("POST", "/metrics", "GET"),
        ("PUT", "/livez", "GET"),
    ],
)
def test_another_method_is_405_with_those_that_are_allowed(client, fleet, method, path, allowed):
    response = client(method, path)
    assert response.status_code == (405 if allowed else 404)
    if allowed:
        assert allowed in response.headers["allow"]
        assert client.problem(method, path)["code"] == "method_not_allowed"


def test_all_methods_that_a_path_takes_are_told(client, fleet):
    assert client("DELETE", "probes/pg-0:run").headers["allow"] == "GET, HEAD, POST"
    assert client("DELETE", "chaos/experiments").headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["/dashboard", "/meshkit/diagnostics/v1", "snapshot", "/metrics/", "/probes", "groups/"])
def test_other_paths_are_404_problems(client, path):
    assert client.problem("GET", path)["code"] == "not_found"


def test_no_route_answers_without_the_token(client, fleet):
    for route in ROUTES:
        path = route.path.replace("{name}", "main.js" if route.path.startswith(FILES) else "pg-0")
        response = client(route.method, path.removeprefix("/" if route.resource else ""), authorization="")
        assert response.status_code == (401 if route.permission else response.status_code)
        assert (response.status_code in {200, 503}) == (route.permission is None)


def test_no_get_has_a_permission_to_change(client):
    assert {route.permission for route in ROUTES if route.method == "GET"} <= {
        None,
        *(permission for permission in Permission if permission.endswith(".read")),
    }


def test_readiness_follows_the_runtime(client, diag):
    assert client.get("/livez", authorization="").text == "ok\n"
    response = client.get("/readyz", authorization="")
    assert (response.status_code, response.json()["code"]) == (503, "not_ready")


def test_an_error_of_ours_is_an_id_for_the_reader_and_a_traceback_for_the_log(client, diag, monkeypatch, caplog):
    def broken():
        raise RuntimeError("password=hunter2 in some exception")

    monkeypatch.setattr(diag, "snapshot", broken)
    response = client.get("probes")
    assert response.status_code == 500
    assert "hunter2" not in response.text
    error_id = response.json()["instance"].removeprefix("urn:meshkit:error:")
    [record] = [record for record in caplog.records if error_id in record.getMessage()]
    assert "hunter2" in str(record.exc_info[1])


def test_metrics_speak_text_and_openmetrics_and_drop_probes_on_request(client, fleet):
    text = client.get("/metrics")
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'meshkit_probe_state{probe="pg-7"' in text.text
    openmetrics = client.get("/metrics?per_probe=false", accept="application/openmetrics-text;version=1.0.0")
    assert openmetrics.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert openmetrics.text.endswith("# EOF\n")
    assert "probe=" not in openmetrics.text


def test_groups_answer_for_any_tags(client, fleet):
    groups = client.get("groups").json()["items"]
    assert [(group["tags"], group["probes"]) for group in groups] == [
        ({"cluster": "eu-1", "namespace": "edge"}, 4),
        ({"cluster": "eu-1", "namespace": "orders"}, 8),
    ]
    by_zone = client.get("groups?by=zone").json()["items"]
    assert sum(group["probes"] for group in by_zone) == 12
    [everything] = client.get("groups?by=").json()["items"]
    assert everything["probes"] == 12
    assert everything["states"]["paused"] == 1


def test_a_quantile_beyond_the_histogram_is_named_and_not_numbered(diag):
    diag.add(fp.TcpProbe("10.0.0.1:80"), name="pg")
    view = msgspec.structs.replace(diag.snapshot()["pg"], p50_s=0.001, p90_s=math.nan, p99_s=math.inf)
    item = envelope.probe_item(view)
    assert (item.p50_seconds, item.p90_seconds, item.p99_seconds) == (0.001, None, None)
    assert item.beyond_range == ["p99"]


def test_a_list_that_is_the_same_is_not_sent_again(client, fleet):
    first = client.get("probes?name=pg-*")
    etag = first.headers["etag"]
    again = client.get("probes?name=pg-*", if_none_match=etag)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get("probes?name=pg-*", if_none_match=f'"other", {etag}').status_code == 304
    fleet.pause("pg-0")
    changed = client.get("probes?name=pg-*", if_none_match=etag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag
    assert client.get("probes?name=pg-*", if_none_match="*").status_code == 304
    for wrong in ('W/"0"', "*x", "", etag[:-2]):
        assert client.get("probes?name=pg-*", if_none_match=wrong).status_code == 200


def test_forms_have_tags_of_their_own(client, fleet):
    assert client.get("probes").headers["etag"] != client.get("probes", accept="application/msgpack").headers["etag"]


def test_a_long_answer_is_compressed_for_who_takes_it_and_is_the_same(client, fleet):
    plain = client.get("probes", accept_encoding="identity")
    packed = client.get("probes", accept_encoding="br, gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert timeless(packed.json()) == timeless(plain.json())
    assert "content-encoding" not in client.get("probes?page_size=1", accept_encoding="gzip").headers


@pytest.mark.parametrize(
    ("accept", "packed"),
    [("gzip;q=0", False), ("br, gzip; q=0.0", False), ("gzip;q=0.5", True), ("GZIP", True), ("xgzip", False), ("", False)],
)
def test_who_refuses_compression_gets_none(client, fleet, accept, packed):
    assert ("content-encoding" in client.get("probes", accept_encoding=accept).headers) is packed
