"""A stock gRPC client (grpcio) that knows no .proto file of ours: it learns the services by reflection, and calls them."""

from __future__ import annotations

from contextlib import contextmanager

import grpc
import trio
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

DIAGNOSTICS = "meshkit.diagnostics.v1.Diagnostics"
HEALTH = "grpc.health.v1.Health"
PATIENCE_S = 30


class _Details(grpc.ClientCallDetails):
    def __init__(self, details, metadata):
        self.method, self.timeout, self.credentials = details.method, details.timeout, details.credentials
        self.wait_for_ready, self.compression = details.wait_for_ready, details.compression
        self.metadata = metadata


class _Says(grpc.StreamStreamClientInterceptor):
    """Who asks, of a client that has no place for it."""

    def __init__(self, metadata):
        self._metadata = metadata

    def intercept_stream_stream(self, continuation, details, requests):
        return continuation(_Details(details, self._metadata), requests)


class Caller:
    """Blocking: for threads."""

    def __init__(self, channel, token=None):
        self.channel = channel
        self.metadata = [] if token is None else [("authorization", f"Bearer {token}")]
        self.reflected = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(channel, _Says(self.metadata)))
        self._pool = DescriptorPool(self.reflected)

    def method(self, name, service=DIAGNOSTICS):
        return self._pool.FindServiceByName(service).methods_by_name[name]

    def call(self, name, given=None, service=DIAGNOSTICS, **options):
        """A unary call, in plain data both ways. grpc.RpcError for anything but OK."""
        invoke, request = self._prepared(self.channel.unary_unary, name, service, given)
        return MessageToDict(invoke(request, metadata=self.metadata, **{"timeout": PATIENCE_S, **options}))

    def follow(self, name, given=None, service=DIAGNOSTICS, **options):
        """A streaming call: iterate over it, and cancel it."""
        invoke, request = self._prepared(self.channel.unary_stream, name, service, given)
        return invoke(request, metadata=self.metadata, **{"timeout": PATIENCE_S, **options})

    def refusal(self, name, given=None, service=DIAGNOSTICS, **options):
        """How a call that is refused ends: its code, and the stable code of the problem."""
        try:
            answer = self.call(name, given, service, **options)
        except grpc.RpcError as error:
            return error.code(), dict(error.trailing_metadata()).get("meshkit-code")
        raise AssertionError(f"{name} was not refused: {answer}")

    def _prepared(self, how, name, service, given):
        method = self.method(name, service)
        takes, gives = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        invoke = how(f"/{service}/{name}", request_serializer=takes.SerializeToString, response_deserializer=gives.FromString)
        return invoke, ParseDict(given or {}, takes())


@contextmanager
def caller(address, token=None, credentials=None, options=()):
    options = [("grpc.enable_retries", 0), *options]
    channel = (
        grpc.insecure_channel(address, options) if credentials is None else grpc.secure_channel(address, credentials, options)
    )
    with channel:
        yield Caller(channel, token)


async def in_thread(work, *args):
    """grpcio blocks; the host of these tests lives on this thread."""
    return await trio.to_thread.run_sync(work, *args)
