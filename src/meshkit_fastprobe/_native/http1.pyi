from typing import Any, final

@final
class Parser:
    """The response parser of the engine alone, for the task lane and for tests; one response a parser.

    Events: ("status", int), ("header", name, value), ("headers_end",), ("body", bytes), ("done", keep_alive), ("bad",) and
    ("too_large",).
    """

    def __new__(cls, *, head: bool = False) -> Parser: ...
    @property
    def left(self) -> int:
        """Bytes of the last feed() that were not looked at because the response had ended."""
    @property
    def status(self) -> int:
        """As far as it has been read; 0 before."""
    def feed(self, data: bytes) -> list[tuple[Any, ...]]:
        """The events of these bytes; a response that has ended says so again."""
    def eof(self) -> tuple[Any, ...]:
        """The peer closed: what the response came to."""
