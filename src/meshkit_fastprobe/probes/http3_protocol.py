"""aioquic's HTTP/3 without a dynamic table for headers. Imported when first used."""

from __future__ import annotations

import pylsqpack
from aioquic.h3.connection import H3Connection


class Http3Protocol(H3Connection):
    """One entry of 4 KiB, named by each byte of a frame, would make a quarter of a gigabyte of the 64 KiB a target may send."""

    def _init_connection(self) -> None:
        self._max_table_capacity = self._blocked_streams = 0
        self._decoder = pylsqpack.Decoder(0, 0)
        super()._init_connection()
