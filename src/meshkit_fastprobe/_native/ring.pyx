"""The ring alone, for tests and benchmarks: NumPy batches in and out."""
cimport cython
from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint32_t

import numpy as np

from meshkit_fastprobe._native.core cimport (
    fp_ring,
    fp_ring_check,
    fp_ring_dropped,
    fp_ring_free,
    fp_ring_new,
    fp_ring_pop,
    fp_ring_push,
    fp_ring_size,
)


@cython.final
cdef class Ring:
    """A bounded single-producer single-consumer ring of elements of one dtype."""

    cdef fp_ring *_ring
    cdef readonly object dtype
    cdef readonly uint32_t slots

    def __cinit__(self, uint32_t slots, dtype):
        self.dtype = np.dtype(dtype)
        if self.dtype.hasobject:
            raise ValueError("a ring holds plain data, no Python objects")
        cdef int failed = fp_ring_new(&self._ring, slots, self.dtype.itemsize)
        if failed == -ENOMEM:
            raise MemoryError
        if failed != 0:
            raise ValueError(f"{slots} slots of {self.dtype.itemsize} bytes: slots must be a power of two, elements not empty")
        self.slots = slots

    def __dealloc__(self):
        fp_ring_free(self._ring)

    cdef _bytes(self, array, bint writable):
        if array.dtype != self.dtype or array.ndim != 1 or not array.flags.c_contiguous:
            raise ValueError(f"a batch is a contiguous one-dimensional array of {self.dtype}")
        if writable and not array.flags.writeable:
            raise ValueError("the array to fill is read-only")
        return array.view(np.uint8)

    def push(self, elements, *, bint count_drops=True) -> int:
        """How many were taken; the rest is counted in `dropped`, unless told otherwise."""
        cdef const uint8_t[::1] raw = self._bytes(elements, False)
        cdef uint32_t n = len(elements), taken
        cdef const uint8_t *first = &raw[0] if n else NULL
        with nogil:
            taken = fp_ring_push(self._ring, first, n, count_drops)
        return taken

    def pop(self, out) -> int:
        """How many were copied to the start of out."""
        cdef uint8_t[::1] raw = self._bytes(out, True)
        cdef uint32_t n = len(out), taken
        cdef uint8_t *first = &raw[0] if n else NULL
        with nogil:
            taken = fp_ring_pop(self._ring, first, n)
        return taken

    @property
    def size(self) -> int:
        return fp_ring_size(self._ring)

    @property
    def dropped(self) -> int:
        return fp_ring_dropped(self._ring)

    def check(self) -> str | None:
        """None, or the first broken invariant. While neither side is at work."""
        cdef const char *broken = fp_ring_check(self._ring)
        return None if broken is NULL else (<bytes>broken).decode()
