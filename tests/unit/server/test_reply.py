import trio
import trio.testing

from meshkit_fastprobe.server.problems import UNKNOWN_PROBE, Problem
from meshkit_fastprobe.server.reply import SEND_PATIENCE_S, PagedReply, Reply


async def present():
    await trio.sleep_forever()


def collect(answer, method="GET"):
    sent = []

    async def send(message):
        sent.append(message)

    trio.run(answer, {"type": "http", "method": method}, present, send)
    return sent


def test_a_reply_is_not_cached_nor_sniffed_and_has_its_length():
    start, body = collect(Reply(200, "text/plain", b"abc", {"vary": "accept"}))
    headers = dict(start["headers"])
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"content-length"] == b"3"
    assert headers[b"vary"] == b"accept"
    assert body["body"] == b"abc"


def test_pages_are_sent_as_they_are_made_and_empty_ones_are_not():
    start, *bodies = collect(PagedReply("text/plain", iter([b"a", b"", b"b"])))
    assert b"content-length" not in dict(start["headers"])
    assert [(body["body"], body.get("more_body", False)) for body in bodies] == [(b"a", True), (b"b", True), (b"", False)]


def test_head_renders_no_page():
    def pages():
        raise AssertionError("nobody reads this")
        yield b""

    assert len(collect(PagedReply("text/plain", pages()), method="HEAD")) == 2


def test_others_run_between_two_pages():
    turns = []

    async def other():
        while True:
            turns.append("other")
            await trio.lowlevel.checkpoint()

    async def send(_message):
        await trio.lowlevel.checkpoint()

    def pages():
        for _ in range(5):
            turns.append("page")
            yield b""

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            await PagedReply("text/plain", pages())({"method": "GET"}, present, send)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert turns.count("other") >= turns.count("page")


def test_a_reader_that_takes_nothing_is_given_up():
    made = []

    def pages():
        for number in range(1000):
            made.append(number)
            yield b"x"

    async def send(message):
        if message["type"] == "http.response.body":
            await trio.sleep_forever()

    async def main():
        began = trio.current_time()
        await PagedReply("text/plain", pages())({"method": "GET"}, present, send)
        return trio.current_time() - began

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == SEND_PATIENCE_S
    assert len(made) == 1


def test_a_problem_has_every_member_of_the_house():
    reply = Problem(UNKNOWN_PROBE, "no probe is named 'x'", "list them").reply()
    assert reply.status == 404
    assert reply.media_type == "application/problem+json"
    assert reply.body == (
        b'{"type":"urn:meshkit:problem:unknown_probe","title":"No probe has this name","status":404,'
        b'"code":"unknown_probe","detail":"no probe is named \'x\'","hint":"list them"}'
    )


def test_a_reader_that_leaves_ends_the_rendering():
    made = []

    def pages():
        for number in range(1000):
            made.append(number)
            yield b"x"

    async def gone():
        return {"type": "http.disconnect"}

    async def send(_message):
        await trio.lowlevel.checkpoint()

    trio.run(PagedReply("text/plain", pages()), {"method": "GET"}, gone, send)
    assert len(made) < 10
