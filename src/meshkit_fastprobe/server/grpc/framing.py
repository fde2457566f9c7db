"""Messages out of the bytes of a request, as they arrive; bounded, also once they are inflated."""

from __future__ import annotations

import zlib
from typing import Final

from meshkit_fastprobe.server.bodies import MAX_BYTES
from meshkit_fastprobe.server.grpc.status import CallError, Code

PREFIX_BYTES: Final = 5
_GZIP: Final = zlib.MAX_WBITS | 16


class Frames:
    """Of one request. encoding: what the caller says that compressed messages are compressed with."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._data = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes that have arrived and that no message was made of yet."""
        return len(self._data)

    def take(self, data: bytes) -> None:
        self._data += data

    def next(self) -> bytes | None:
        """The next message, if it is here. CallError for one that cannot be taken."""
        if len(self._data) < PREFIX_BYTES:
            return None
        compressed, size = self._data[0], int.from_bytes(self._data[1:PREFIX_BYTES])
        if compressed > 1:
            raise CallError(Code.INTERNAL, f"what was sent is no frame of a message: it begins with {compressed}")
        if size > MAX_BYTES:
            raise _too_large()
        if len(self._data) < PREFIX_BYTES + size:
            return None
        message = bytes(self._data[PREFIX_BYTES : PREFIX_BYTES + size])
        del self._data[: PREFIX_BYTES + size]
        return self._inflated(message) if compressed else message

    def _inflated(self, message: bytes) -> bytes:
        if self._encoding != "gzip":
            raise CallError(Code.INTERNAL, "a message is compressed, and grpc-encoding does not say with what")
        inflate = zlib.decompressobj(_GZIP)
        try:
            content = inflate.decompress(message, MAX_BYTES + 1)
        except zlib.error:
            raise CallError(Code.INTERNAL, "a compressed message cannot be inflated") from None
        if len(content) > MAX_BYTES:
            raise _too_large()
        if not inflate.eof:
            raise CallError(Code.INTERNAL, "a compressed message is cut short")
        return content


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4) + message


def _too_large() -> CallError:
    return CallError(Code.RESOURCE_EXHAUSTED, f"a message has more than {MAX_BYTES} bytes, which is the bound")
