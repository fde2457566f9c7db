"""One probe as registered: numbers as C keeps them, 72 bytes less a probe than with Python's ints. There may be a million."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t

from msgspec.structs import replace


@cython.final
@cython.no_gc  # a million must not burden the collector; the price: a callable that holds its Diagnostics keeps it for ever
cdef class Registration:
    cdef readonly str name
    cdef object _probe  # or one that differs from it in its target alone
    cdef readonly uint8_t target_at
    cdef public object options
    cdef readonly object lane
    cdef public str message
    cdef public int64_t due_ns
    cdef readonly uint32_t slot
    cdef readonly uint32_t generation
    cdef readonly uint32_t group

    def __cinit__(
        self,
        str name not None,
        object probe,
        object options,
        object lane,
        uint32_t slot,
        uint32_t generation,
        uint32_t group,
        uint8_t target_at=0,
    ):
        self.name = name
        self._probe = probe
        self.target_at = target_at
        self.options = options
        self.lane = lane
        self.slot = slot
        self.generation = generation
        self.group = group
        self.due_ns = -1
        self.message = ""

    @property
    def likeness(self):
        return self._probe

    @property
    def probe(self):
        return replace(self._probe, target=self.target) if self.target_at else self._probe

    @property
    def target(self) -> str:
        return self.name[self.target_at :] if self.target_at else self._probe.target

    @property
    def kind(self) -> str:
        return self._probe.kind

    def __repr__(self):
        return f"Registration({self.name!r}, {self.probe!r}, slot={self.slot}, generation={self.generation})"
