"""A small HTTP/3 client on aioquic and trio: one connection, any number of requests, and control over what it takes."""

from __future__ import annotations

import math
import socket
from contextlib import asynccontextmanager

import trio
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamReset

PATIENCE_S = 30


class Answer:
    def __init__(self):
        self.headers, self.trailers, self.body = {}, {}, b""
        self.ended, self.reset = False, None

    @property
    def status(self):
        return int(self.headers[":status"])


class Http3Client:
    """`hold` keeps what the host sends from being acknowledged: a visitor that takes nothing."""

    def __init__(self, address, authority, *, cadata, window=1 << 20):
        configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost", max_data=window)
        configuration.max_stream_data = window
        configuration.load_verify_locations(cadata=cadata)
        self.quic = QuicConnection(configuration=configuration)
        self.h3 = None
        self.answers = {}
        self.terminated = None
        self.hold = False
        self._authority = authority
        self._address = address
        self._news = trio.Event()
        self.shaken = trio.Event()
        self.socket = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def run(self):
        await self.socket.connect(self._address)
        self.quic.connect(self._address, now=trio.current_time())
        while self.terminated is None:
            await self.flush()
            timer = self.quic.get_timer()
            with trio.move_on_at(math.inf if timer is None else timer):
                try:
                    data = await self.socket.recv(65536)
                except OSError:
                    data = b""
                if data and not self.hold:
                    self.quic.receive_datagram(data, self._address, now=trio.current_time())
                self._handle()
                continue
            self.quic.handle_timer(now=trio.current_time())
            self._handle()

    async def flush(self):
        for data, _ in self.quic.datagrams_to_send(now=trio.current_time()):
            try:
                await self.socket.send(data)
            except OSError:
                return

    def _handle(self):
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self.h3 = H3Connection(self.quic)
                self.shaken.set()
            elif isinstance(event, ConnectionTerminated):
                self.terminated = event
                self.shaken.set()
            elif isinstance(event, StreamReset) and event.stream_id in self.answers:
                self.answers[event.stream_id].reset = event.error_code
            for told in () if self.h3 is None else self.h3.handle_event(event):
                self._take(told)
        news, self._news = self._news, trio.Event()
        news.set()

    def _take(self, told):
        answer = self.answers.get(told.stream_id)
        if answer is None:
            return
        if isinstance(told, HeadersReceived):
            headers = {name.decode(): value.decode() for name, value in told.headers}
            if answer.headers:
                answer.trailers = headers
            else:
                answer.headers = headers
        elif isinstance(told, DataReceived):
            answer.body += told.data
        answer.ended = answer.ended or told.stream_ended

    async def begin(self, method, path, headers=(), body=b"", *, end=True):
        """The number of the request's stream."""
        stream_id = self.quic.get_next_available_stream_id()
        self.answers[stream_id] = Answer()
        base = [(":method", method), (":scheme", "https"), (":authority", self._authority), (":path", path), *headers]
        self.h3.send_headers(stream_id, [(name.encode(), value.encode()) for name, value in base], end and not body)
        if body:
            self.h3.send_data(stream_id, body, end)
        await self.flush()
        return stream_id

    async def until(self, holds):
        with trio.fail_after(PATIENCE_S):
            while not holds():
                assert self.terminated is None or holds(), self.terminated
                await self._news.wait()

    async def ask(self, method, path, headers=(), body=b""):
        stream_id = await self.begin(method, path, headers, body)
        answer = self.answers[stream_id]
        await self.until(lambda: answer.ended or answer.reset is not None)
        return answer


@asynccontextmanager
async def http3_client(address, cadata, **options):
    """address: HOST:PORT of a host on loopback."""
    host, _, port = address.rpartition(":")
    async with trio.open_nursery() as nursery:
        client = Http3Client((host, int(port)), address, cadata=cadata, **options)
        try:
            nursery.start_soon(client.run)
            with trio.fail_after(PATIENCE_S):
                await client.shaken.wait()
            yield client
            client.quic.close()
            await client.flush()
        finally:
            nursery.cancel_scope.cancel()
            client.socket.close()


def trusting(authority):
    return authority.cert_pem.bytes()
