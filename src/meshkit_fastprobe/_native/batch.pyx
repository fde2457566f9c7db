"""A bounded batch of records written from Python: what the task and thread lanes and report() fill, and ingest empties."""
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

import numpy as np

from meshkit_fastprobe._native.core cimport fp_record

from meshkit_fastprobe._native.layout import RECORD


@cython.final
cdef class RecordBatch:
    cdef fp_record *_records  # the memory of `array`
    cdef readonly object array
    cdef readonly uint32_t capacity
    cdef readonly uint32_t size
    cdef readonly uint64_t dropped

    def __cinit__(self, uint32_t capacity):
        cdef const uint8_t[::1] raw
        if capacity == 0:
            raise ValueError("a batch holds at least one record")
        array = np.zeros(capacity, RECORD)
        raw = array.view(np.uint8)
        self._records = <fp_record *>&raw[0]
        array.setflags(write=False)
        self.array = array
        self.capacity = capacity

    def append(
        self,
        uint32_t slot,
        uint32_t generation,
        uint64_t started_ns,
        uint64_t latency_ns,
        uint64_t lag_ns,
        detail,
        uint8_t result,
        uint8_t reason,
    ) -> bool:
        """Write one record; False, and counted in `dropped`, when the batch is full.

        detail: any int, for a probe or its target may have chosen it; what there is no room for is the nearest that there is.
        """
        cdef fp_record *record
        if self.size == self.capacity:
            self.dropped += 1
            return False
        record = &self._records[self.size]
        record.slot = slot
        record.generation = generation
        record.started_ns = started_ns
        record.latency_ns = latency_ns
        record.lag_us = <uint32_t>min(lag_ns // 1000, <uint64_t>0xffffffff)
        record.detail = 0 if detail < 0 else 0xffff if detail > 0xffff else detail
        record.result = result
        record.reason = reason
        self.size += 1
        return True

    def clear(self) -> None:
        """Forget what was taken; `array` is written anew from its start."""
        self.size = 0
