"""Messages out of the descriptors that come with the package: protobuf's runtime alone, in a pool of their own.

A pool of their own, since the embedding process may have its own classes for the standard services.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Final

DESCRIPTORS: Final = "descriptors.binpb"
"""A FileDescriptorSet of protos/, made by `python tools/compile_protos.py`; a test holds the two together."""


class NoProtobufError(Exception):
    """The extra that brings protobuf is not installed."""


@cache
def files() -> dict[str, bytes]:
    """Every file as a serialized FileDescriptorProto, by its name; what a file imports comes before it."""
    try:
        from google.protobuf import descriptor_pb2
    except ImportError as error:
        raise NoProtobufError from error
    content = resources.files(__package__).joinpath(DESCRIPTORS).read_bytes()
    found = descriptor_pb2.FileDescriptorSet.FromString(content)
    return {file.name: file.SerializeToString() for file in found.file}


@cache
def pool() -> Any:
    """The DescriptorPool of these files. NoProtobufError when it cannot be."""
    serialized = files()
    from google.protobuf import descriptor_pool

    made = descriptor_pool.DescriptorPool()
    for content in serialized.values():
        made.AddSerializedFile(content)
    return made


@cache
def message_class(full_name: str) -> Any:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(pool().FindMessageTypeByName(full_name))


@cache
def service(full_name: str) -> Any:
    """A ServiceDescriptor."""
    return pool().FindServiceByName(full_name)
