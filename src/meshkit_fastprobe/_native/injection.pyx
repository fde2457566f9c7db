"""The place in an embedder's code where a fault may enter: one pointer comparison while nothing is armed."""

cimport cython


@cython.final
cdef class _Passed:
    """An awaitable that is done already; one instance serves every idle point."""

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration


cdef _Passed _passed = _Passed()


@cython.final
cdef class InjectionPoint:
    cdef readonly str name
    cdef object _fault
    cdef object _fault_sync

    def __cinit__(self, str name):
        self.name = name
        self._fault = None
        self._fault_sync = None

    @property
    def armed(self) -> bool:
        """Whether a fault is armed at this point."""
        return self._fault is not None

    def pass_through(self):
        """Await this where the dependency is called: returns at once while no fault is armed."""
        if self._fault is None:
            return _passed
        return self._fault()

    def pass_through_sync(self) -> None:
        """The same for code that does not await."""
        if self._fault_sync is not None:
            self._fault_sync()

    def arm(self, fault, fault_sync) -> None:
        """Arm: `await fault()` and `fault_sync()` run on each passage. RuntimeError when armed already: one fault a point."""
        if self._fault is not None:
            raise RuntimeError(f"injection point {self.name!r} has a fault already; disarm it first")
        self._fault = fault
        self._fault_sync = fault_sync

    def disarm(self) -> None:
        """Back to idle; calm when idle. Passages under way finish as they began."""
        self._fault = None
        self._fault_sync = None
