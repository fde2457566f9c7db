from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeVar, final

_F = TypeVar("_F", bound=Callable[..., Any])

@final
class InjectionPoint:
    """The place in an embedder's code where a fault may enter; costs nanoseconds while none is armed.

    Await `pass_through()`, call `pass_through_sync()`, decorate a function with it, or use it in `async with` or `with`.
    """

    def __new__(cls, name: str) -> InjectionPoint: ...
    @property
    def name(self) -> str: ...
    @property
    def armed(self) -> bool:
        """Whether a fault is armed at this point."""
    @property
    def armed_by(self) -> str:
        """The mark of whoever armed it; "" while idle."""
    def pass_through(self) -> Awaitable[None]:
        """Await this where the dependency is called: returns at once while no fault is armed."""
    def pass_through_sync(self) -> None:
        """The same for code that does not await."""
    def __call__(self, function: _F) -> _F:
        """Decorator: each call of `function` passes this point first."""
    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Awaitable[None]: ...
    def __enter__(self) -> None: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    def arm(self, fault: Callable[[], Awaitable[None]], fault_sync: Callable[[], None], by: str = "") -> None:
        """Arm: `await fault()` and `fault_sync()` run on each passage. RuntimeError when armed already: one fault a point."""
    def disarm(self) -> None:
        """Back to idle; calm when idle. Passages under way finish as they began."""
