from collections.abc import Awaitable, Callable
from typing import final

@final
class InjectionPoint:
    """The place in an embedder's code where a fault may enter; costs nanoseconds while none is armed."""

    def __new__(cls, name: str) -> InjectionPoint: ...
    @property
    def name(self) -> str: ...
    @property
    def armed(self) -> bool:
        """Whether a fault is armed at this point."""
    def pass_through(self) -> Awaitable[None]:
        """Await this where the dependency is called: returns at once while no fault is armed."""
    def pass_through_sync(self) -> None:
        """The same for code that does not await."""
    def arm(self, fault: Callable[[], Awaitable[None]], fault_sync: Callable[[], None]) -> None:
        """Arm: `await fault()` and `fault_sync()` run on each passage. RuntimeError when armed already: one fault a point."""
    def disarm(self) -> None:
        """Back to idle; calm when idle. Passages under way finish as they began."""
