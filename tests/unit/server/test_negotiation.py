import pytest

from meshkit_fastprobe.server.negotiation import JSON, MSGPACK, MSGPACK_NAMES, choose

METRICS = ("text/plain", "application/openmetrics-text")
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/msgpack", MSGPACK),
        ("Application/X-MsgPack", "application/x-msgpack"),
        ("application/vnd.msgpack, application/json;q=0.9", "application/vnd.msgpack"),
        ("application/json, application/msgpack", JSON),
        ("application/msgpack;q=0.2, */*;q=0.1", MSGPACK),
        ("application/json;q=0, */*", MSGPACK),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("image/png", JSON),
        ("application/msgpack;q=banana, application/json;q=0.1", JSON),
        (";;;,,,", JSON),
    ],
)
def test_the_reader_gets_the_form_it_likes_best(accept, chosen):
    assert choose(accept, (JSON, *MSGPACK_NAMES)) == chosen


def test_prometheus_gets_openmetrics_and_curl_gets_text():
    assert choose(PROMETHEUS, METRICS) == "application/openmetrics-text"
    assert choose("*/*", METRICS) == "text/plain"
