"""The response parser alone, for the task lane and for tests: bytes in, a list of events out."""
cimport cython
from libc.stddef cimport size_t

from meshkit_fastprobe._native.core cimport (
    FP_HTTP1_BAD,
    FP_HTTP1_BODY,
    FP_HTTP1_DONE,
    FP_HTTP1_HEADER,
    FP_HTTP1_HEADERS_END,
    FP_HTTP1_MORE,
    FP_HTTP1_STATUS,
    FP_HTTP1_TOO_LARGE,
    fp_http1,
    fp_http1_eof,
    fp_http1_init,
    fp_http1_next,
)


@cython.final
cdef class Parser:
    """One response. Events are tuples whose first item is a word."""

    cdef fp_http1 _parser
    cdef readonly size_t left

    def __cinit__(self, *, bint head=False):
        fp_http1_init(&self._parser, head)

    cdef tuple _event(self, int event, const char *body, size_t body_len):
        if event == FP_HTTP1_STATUS:
            return "status", self._parser.status
        if event == FP_HTTP1_HEADER:
            name = self._parser.name[: self._parser.name_len]
            value = self._parser.value[: self._parser.value_len]
            return "header", name, value
        if event == FP_HTTP1_HEADERS_END:
            return ("headers_end",)
        if event == FP_HTTP1_BODY:
            return "body", body[:body_len]
        if event == FP_HTTP1_DONE:
            return "done", self._parser.keep_alive
        return ("bad",) if event == FP_HTTP1_BAD else ("too_large",)

    def feed(self, bytes data) -> list:
        """The events of these bytes; `left` says how many were not looked at because the response had ended."""
        cdef const char *at = data
        cdef const char *body = NULL
        cdef size_t body_len = 0
        cdef int event = FP_HTTP1_HEADERS_END
        self.left = len(data)
        events = []
        while event not in (FP_HTTP1_DONE, FP_HTTP1_BAD, FP_HTTP1_TOO_LARGE):
            event = fp_http1_next(&self._parser, &at, &self.left, &body, &body_len)
            if event == FP_HTTP1_MORE:
                break
            events.append(self._event(event, body, body_len))
        return events

    @property
    def status(self) -> int:
        """As far as it has been read; 0 before."""
        return self._parser.status

    def eof(self) -> tuple:
        """The peer closed: what the response came to."""
        return self._event(fp_http1_eof(&self._parser), NULL, 0)
