"""The place in an embedder's code where a fault may enter: one pointer comparison while nothing is armed."""

import functools
import inspect

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
    cdef readonly str armed_by
    cdef object _fault
    cdef object _fault_sync

    def __cinit__(self, str name):
        self.name = name
        self.armed_by = ""
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

    def __call__(self, function):
        """Decorator: each call of `function` passes this point first."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def through(*arguments, **named):
                if self._fault is not None:
                    await self._fault()
                return await function(*arguments, **named)
        else:

            @functools.wraps(function)
            def through(*arguments, **named):
                if self._fault_sync is not None:
                    self._fault_sync()
                return function(*arguments, **named)

        return through

    def __aenter__(self):
        return self.pass_through()

    def __aexit__(self, kind, error, traceback):
        return _passed

    def __enter__(self) -> None:
        if self._fault_sync is not None:
            self._fault_sync()

    def __exit__(self, kind, error, traceback) -> None:
        pass

    def arm(self, fault, fault_sync, str by="") -> None:
        """Arm: `await fault()` and `fault_sync()` run on each passage. RuntimeError when armed already: one fault a point."""
        if self._fault is not None:
            raise RuntimeError(f"injection point {self.name!r} has a fault already; disarm it first")
        self._fault = fault
        self._fault_sync = fault_sync
        self.armed_by = by

    def disarm(self) -> None:
        """Back to idle; calm when idle. Passages under way finish as they began."""
        self._fault = None
        self._fault_sync = None
        self.armed_by = ""
