"""The last failures of each probe, in bounded memory."""
cimport cython
from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint32_t

import numpy as np

from meshkit_fastprobe._native.core cimport (
    FP_FAILURES_KEPT,
    fp_failure,
    fp_failures_check,
    fp_failures_evicted,
    fp_failures_forget,
    fp_failures_free,
    fp_failures_new,
    fp_failures_probes,
    fp_failures_read,
    fp_failures_take_records,
    fp_failures_tell,
    fp_record,
)

from meshkit_fastprobe._native.layout import FAILURE, RECORD


@cython.final
cdef class Failures:
    def __cinit__(self, uint32_t capacity, uint32_t probes):
        cdef int failed = fp_failures_new(&self._failures, capacity, probes)
        if failed == -ENOMEM:
            raise MemoryError
        if failed != 0:
            raise ValueError("capacity and probes are at least 1")
        self._capacity = capacity

    def __dealloc__(self):
        fp_failures_free(self._failures)

    def take(self, records, uint32_t n) -> None:
        """The failures among the first n records (layout.RECORD) of a lane that sends no traces."""
        cdef const uint8_t[::1] raw
        if records.dtype != RECORD or n > records.size:
            raise ValueError("records must be an array of layout.RECORD with room for n")
        if n:
            raw = records.view("u1")
            fp_failures_take_records(self._failures, <const fp_record *>&raw[0], n)

    def tell(self, uint32_t slot, uint32_t generation, failure) -> None:
        """A failure (one layout.FAILURE) of which more is known than its record, which is still to come, will say."""
        cdef const uint8_t[::1] raw
        if failure.dtype != FAILURE or failure.shape != (1,):
            raise ValueError("failure must be an array of one layout.FAILURE")
        if slot >= self._capacity:
            raise IndexError(f"slot {slot} is not below {self._capacity}")
        raw = failure.view("u1")
        fp_failures_tell(self._failures, slot, generation, <const fp_failure *>&raw[0])

    def forget(self, uint32_t slot) -> None:
        """The probe of this slot is gone."""
        if slot >= self._capacity:
            raise IndexError(f"slot {slot} is not below {self._capacity}")
        fp_failures_forget(self._failures, slot)

    def read(self, uint32_t slot, uint32_t generation):
        """The remembered failures of a probe, oldest first, as layout.FAILURE."""
        cdef uint8_t[::1] raw
        if slot >= self._capacity:
            raise IndexError(f"slot {slot} is not below {self._capacity}")
        out = np.empty(FP_FAILURES_KEPT, FAILURE)
        raw = out.view("u1")
        return out[:fp_failures_read(self._failures, slot, generation, <fp_failure *>&raw[0])]

    @property
    def probes(self) -> int:
        """Probes that have failures now."""
        return fp_failures_probes(self._failures)

    @property
    def evicted(self) -> int:
        """Probes that made room for others so far."""
        return fp_failures_evicted(self._failures)

    def check(self) -> str | None:
        """None, or the first broken invariant."""
        cdef const char *broken = fp_failures_check(self._failures)
        return None if broken is NULL else broken.decode()
