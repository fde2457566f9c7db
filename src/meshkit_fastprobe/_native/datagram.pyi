from collections.abc import Sequence
from typing import Final, final

MAX_UDP_PAYLOAD: Final[int]
MAX_UDP_REPLY: Final[int]
MAX_DNS_ANSWERS: Final[int]
MIN_ECHO_PAYLOAD: Final[int]
MAX_ECHO_PAYLOAD: Final[int]

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

@final
class Echo:
    """One echo request of ICMP, and the judge of what comes back."""

    def __new__(cls, *, v6: bool, number: int, nonce: int, payload: int) -> Echo:
        """The number tells this asker from others, the nonce is one that nobody guesses. ValueError: no such payload."""

    def request(self) -> bytes:
        """The request as a message; the checksum of IPv6 is the kernel's business."""
    def read(self, data: bytes | bytearray | memoryview, *, with_header: bool, own_id: bool) -> tuple[int, int, bytes] | None:
        """(reason, detail, whom an error is about, or b"" of a reply); None for what is no answer to this request.

        with_header: IPv4's header comes first, as raw sockets give it. own_id: the kernel left the request its number.
        """
