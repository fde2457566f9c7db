from collections.abc import Sequence
from typing import Final, final

MAX_UDP_PAYLOAD: Final[int]
MAX_UDP_REPLY: Final[int]
MAX_DNS_ANSWERS: Final[int]

@final
class UdpPlan:
    """A datagram and what is expected of the one that comes back, shared by any number of targets."""

    def __new__(
        cls,
        *,
        payload: bytes,
        max_reply: int,
        equals: bytes | None = None,
        prefix: bytes | None = None,
        contains: bytes | None = None,
    ) -> UdpPlan:
        """ValueError for sizes over their bound, or expectations that max_reply keeps from being met."""
    def judge(self, data: bytes | bytearray | memoryview) -> int:
        """The reason why this reply is not good; 0 when it is."""

@final
class DnsPlan:
    """A question and what is expected of the answer, shared by any number of targets."""

    def __new__(
        cls, *, name: bytes, record_type: int, rcode: int, min_answers: int, min_ttl_s: int, answers: Sequence[bytes]
    ) -> DnsPlan:
        """Name and answers as on the wire; of TXT, parts of the text. ValueError for what cannot be."""
    def query(self, message_id: int) -> bytes:
        """The question as a datagram."""
    def read(self, message_id: int, data: bytes | bytearray | memoryview, *, over_tcp: bool = False) -> tuple[int, int, int]:
        """(0, 0, 0) for a stray, (1, 0, 0) for one that was cut short, (2, reason, detail) for an answer that was judged."""
