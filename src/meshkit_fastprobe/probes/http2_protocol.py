"""h2's connection, which a server may leave in good order. Imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated

if TYPE_CHECKING:
    from h2.events import Event
    from hyperframe.frame import Frame, GoAwayFrame


class Http2Protocol(H2Connection):
    """A draining server says GOAWAY and still owes what it was asked before (RFC 9113, 6.8); h2 takes no word after it."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        if frame.error_code or frame.last_stream_id < self.highest_outbound_stream_id:
            return super()._receive_goaway_frame(frame)
        farewell = ConnectionTerminated()
        farewell.error_code = ErrorCodes.NO_ERROR
        farewell.last_stream_id = frame.last_stream_id
        return [], [farewell]
