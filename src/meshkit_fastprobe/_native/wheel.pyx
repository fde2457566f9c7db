"""The timer wheel alone, for tests and benchmarks; the product uses it inside the engine."""
cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EINVAL, ENOMEM, ERANGE
from libc.stdint cimport uint32_t

from meshkit_fastprobe._native.core cimport (
    FP_NEVER,
    fp_expiry,
    fp_ns,
    fp_wheel,
    fp_wheel_arm,
    fp_wheel_armed_count,
    fp_wheel_bytes,
    fp_wheel_cancel,
    fp_wheel_check,
    fp_wheel_due,
    fp_wheel_expire,
    fp_wheel_free,
    fp_wheel_interval,
    fp_wheel_is_armed,
    fp_wheel_new,
    fp_wheel_next_due,
)

import numpy as np

EXPIRY = np.dtype([("id", "<u4"), ("missed", "<u4"), ("due_ns", "<u8")])


cdef object or_never(fp_ns at_ns):
    return -1 if at_ns == FP_NEVER else at_ns


@cython.final
cdef class Wheel:
    """The timer wheel alone, for tests and benchmarks; the product uses it inside the engine. Nanoseconds; -1 means never."""

    cdef fp_wheel *_wheel
    cdef uint32_t _capacity

    def __cinit__(self, uint32_t capacity, *, fp_ns tick_ns=1_000_000, fp_ns now_ns=0):
        cdef int error = fp_wheel_new(&self._wheel, capacity, tick_ns, now_ns)
        if error == -EINVAL:
            raise ValueError(f"a wheel of {capacity} timers and ticks of {tick_ns} ns: at least 1 timer and 1000 ns are needed")
        if error == -ENOMEM:
            raise MemoryError(f"no address space for a wheel of {capacity} timers")
        assert error == 0, error
        self._capacity = capacity

    def __dealloc__(self):
        fp_wheel_free(self._wheel)

    cdef uint32_t _known(self, uint32_t timer) except? 0xffffffff:
        if timer >= self._capacity:
            raise IndexError(f"timer {timer} of a wheel of {self._capacity}")
        return timer

    def arm(self, uint32_t timer, fp_ns due_ns, fp_ns interval_ns=0):
        """OverflowError beyond the wheel's reach."""
        cdef int error = fp_wheel_arm(self._wheel, self._known(timer), due_ns, interval_ns)
        if error == -ERANGE:
            raise OverflowError(f"timer {timer} due at {due_ns} ns, every {interval_ns} ns: beyond the reach of the wheel")
        assert error == 0, error

    def cancel(self, uint32_t timer):
        fp_wheel_cancel(self._wheel, self._known(timer))

    def is_armed(self, uint32_t timer):
        return bool(fp_wheel_is_armed(self._wheel, self._known(timer)))

    def due(self, uint32_t timer):
        return or_never(fp_wheel_due(self._wheel, self._known(timer)))

    def interval(self, uint32_t timer):
        return fp_wheel_interval(self._wheel, self._known(timer))

    def next_due(self):
        return or_never(fp_wheel_next_due(self._wheel))

    def expire(self, fp_ns now_ns, out):
        """Expire into out (EXPIRY); how many."""
        if out.dtype is not EXPIRY and out.dtype != EXPIRY:
            raise ValueError(f"expiries need an array of EXPIRY, not of {out.dtype}")
        # The plain buffer: a typed memoryview of a struct parses its format at each call, which costs more than a tick.
        cdef Py_buffer room
        cdef uint32_t size, n
        PyObject_GetBuffer(out, &room, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
        try:
            size = <uint32_t>(<size_t>room.len // sizeof(fp_expiry))
            with nogil:
                n = fp_wheel_expire(self._wheel, now_ns, <fp_expiry *>room.buf, size)
        finally:
            PyBuffer_Release(&room)
        return n

    @property
    def armed_count(self):
        return fp_wheel_armed_count(self._wheel)

    @property
    def nbytes(self):
        return fp_wheel_bytes(self._wheel)

    def check(self):
        cdef const char *broken = fp_wheel_check(self._wheel)
        return None if broken == NULL else broken.decode()
