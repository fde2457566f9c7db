"""What is asked over UDP, and the judges of what comes back: the same for the engine and for the task lane."""
cimport cython
from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from meshkit_fastprobe._native.core cimport (
    FP_DNS_ANSWERS_MAX,
    FP_DNS_JUDGED,
    FP_DNS_QUERY_MAX,
    FP_ECHO_ERROR,
    FP_ECHO_HEADER,
    FP_ECHO_PAYLOAD_MAX,
    FP_ECHO_PAYLOAD_MIN,
    FP_ECHO_REPLY,
    FP_REASON_REPLY_MISMATCH,
    FP_UDP_PAYLOAD_MAX,
    FP_UDP_REPLY_MAX,
    fp_bytes,
    fp_dns_plan_new,
    fp_dns_plan_release,
    fp_dns_plan_spec,
    fp_dns_query,
    fp_dns_read,
    fp_dns_reading,
    fp_dns_verdict,
    fp_echo_answer,
    fp_echo_read,
    fp_echo_reading,
    fp_echo_request,
    fp_udp_judge,
    fp_udp_plan_new,
    fp_udp_plan_release,
    fp_udp_plan_spec,
)

MAX_UDP_PAYLOAD = FP_UDP_PAYLOAD_MAX
MAX_UDP_REPLY = FP_UDP_REPLY_MAX
MAX_DNS_ANSWERS = FP_DNS_ANSWERS_MAX
MIN_ECHO_PAYLOAD = FP_ECHO_PAYLOAD_MIN
MAX_ECHO_PAYLOAD = FP_ECHO_PAYLOAD_MAX


cdef fp_bytes given(bytes data):
    """Nothing is expected where nothing is given."""
    cdef fp_bytes out
    memset(&out, 0, sizeof(out))
    if data is not None:
        out.data = <const char *>data
        out.len = <uint32_t>len(data)
    return out


@cython.final
cdef class UdpPlan:
    """A datagram and what is expected of the one that comes back, shared by any number of targets."""

    def __cinit__(
        self, *, bytes payload not None, uint32_t max_reply, bytes equals=None, bytes prefix=None, bytes contains=None
    ):
        cdef fp_udp_plan_spec spec
        memset(&spec, 0, sizeof(spec))
        spec.payload = given(payload)
        spec.equals, spec.prefix, spec.contains = given(equals), given(prefix), given(contains)
        spec.max_reply = max_reply
        cdef int failed = fp_udp_plan_new(&self._plan, &spec)
        if failed == -ENOMEM:
            raise MemoryError
        if failed != 0:
            raise ValueError(f"a payload above {FP_UDP_PAYLOAD_MAX} bytes, or more expected than max_reply allows")

    def __dealloc__(self):
        fp_udp_plan_release(self._plan)

    def judge(self, const uint8_t[::1] data) -> int:
        return fp_udp_judge(self._plan, &data[0] if data.shape[0] else <const uint8_t *>b"", <size_t>data.shape[0])


@cython.final
cdef class DnsPlan:
    """A question and what is expected of the answer, shared by any number of targets."""

    def __cinit__(
        self,
        *,
        bytes name not None,
        uint16_t record_type,
        uint8_t rcode,
        uint32_t min_answers,
        uint32_t min_ttl_s,
        answers,
    ):
        cdef fp_bytes wanted[FP_DNS_ANSWERS_MAX]
        cdef fp_dns_plan_spec spec
        cdef list alive = list(answers)
        memset(&spec, 0, sizeof(spec))
        if len(alive) > FP_DNS_ANSWERS_MAX:
            raise ValueError(f"{len(alive)} answers are more than {FP_DNS_ANSWERS_MAX}")
        for number, data in enumerate(alive):
            wanted[number] = given(data)
        spec.name = given(name)
        spec.type = record_type
        spec.rcode = rcode
        spec.min_answers = min_answers
        spec.min_ttl_s = min_ttl_s
        spec.answers = wanted
        spec.n_answers = <uint32_t>len(alive)
        cdef int failed = fp_dns_plan_new(&self._plan, &spec)
        if failed == -ENOMEM:
            raise MemoryError
        if failed != 0:
            raise ValueError("a name, a type or an answer that cannot be")

    def __dealloc__(self):
        fp_dns_plan_release(self._plan)

    def query(self, uint16_t message_id) -> bytes:
        cdef uint8_t out[FP_DNS_QUERY_MAX]
        cdef size_t size = fp_dns_query(self._plan, message_id, out)
        return (<const char *>out)[:size]

    def read(self, uint16_t message_id, const uint8_t[::1] data, *, bint over_tcp=False) -> tuple:
        cdef fp_dns_verdict verdict
        memset(&verdict, 0, sizeof(verdict))
        cdef const uint8_t *bytes_ = &data[0] if data.shape[0] else <const uint8_t *>b""
        cdef fp_dns_reading reading = fp_dns_read(
            self._plan, message_id, over_tcp, bytes_, <size_t>data.shape[0], &verdict
        )
        if reading != FP_DNS_JUDGED:
            return <int>reading, 0, 0
        return <int>reading, verdict.reason, verdict.detail


@cython.final
cdef class Echo:
    """One echo request of ICMP, and the judge of what comes back."""

    def __cinit__(self, *, bint v6, uint16_t number, uint32_t nonce, uint16_t payload):
        if not FP_ECHO_PAYLOAD_MIN <= payload <= FP_ECHO_PAYLOAD_MAX:
            raise ValueError(f"a payload of {payload} bytes is not in {FP_ECHO_PAYLOAD_MIN}..{FP_ECHO_PAYLOAD_MAX}")
        memset(&self._asked, 0, sizeof(self._asked))
        self._v6 = v6
        self._asked.id = number
        self._asked.nonce = nonce
        self._asked.payload = payload

    def request(self) -> bytes:
        cdef uint8_t out[FP_ECHO_HEADER + FP_ECHO_PAYLOAD_MAX]
        cdef size_t size = fp_echo_request(&self._asked, self._v6, out)
        return (<const char *>out)[:size]

    def read(self, const uint8_t[::1] data, *, bint with_header, bint own_id) -> tuple | None:
        cdef fp_echo_answer answer
        cdef const uint8_t *bytes_ = &data[0] if data.shape[0] else <const uint8_t *>b""
        cdef fp_echo_reading reading = fp_echo_read(self._v6, with_header, bytes_, <size_t>data.shape[0], &answer)
        if reading != FP_ECHO_REPLY and reading != FP_ECHO_ERROR:
            return None
        if answer.echo.sequence != self._asked.sequence or (own_id and answer.echo.id != self._asked.id):
            return None
        if answer.echo.payload and answer.echo.nonce != self._asked.nonce:
            return None
        if reading == FP_ECHO_ERROR:
            return answer.reason, answer.code, (<const char *>answer.to)[: 16 if self._v6 else 4]
        if answer.intact and answer.echo.payload == self._asked.payload:
            return 0, 0, b""
        return <int>FP_REASON_REPLY_MISMATCH, answer.echo.payload, b""
