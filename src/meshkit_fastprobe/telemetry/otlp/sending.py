"""One request to a collector: protobuf over HTTP, compressed, with a patience."""

from __future__ import annotations

import gzip
import http.client
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

PATIENCE_S: Final = 10.0
MAX_ANSWER: Final = 65_536
LATER: Final = frozenset({408, 429})
"""Of the answers that blame the request, those that do not mean what was in it."""


class SendError(Exception):
    """The collector did not take it; says why. final: nor would it take the same again."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class Sender:
    """A new connection each time: collectors are restarted, and a minute is long. Blocks; for a thread."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], ca_file: str | None) -> None:
        parts = urlsplit(endpoint)
        assert parts.hostname is not None, "the configuration was checked"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {**headers, "content-type": "application/x-protobuf", "content-encoding": "gzip"}
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None

    def send(self, path: str, content: bytes) -> None:
        """SendError when it was not taken."""
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE_S)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=PATIENCE_S, context=self._tls)
        )
        try:
            connection.request("POST", self._path + path, gzip.compress(content, 1), self._headers)
            answer = connection.getresponse()
            answer.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise SendError(str(error) or type(error).__name__) from error
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            final = 400 <= answer.status < 500 and answer.status not in LATER
            raise SendError(f"HTTP {answer.status} {answer.reason}", final=final)
