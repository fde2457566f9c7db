from typing import Any, final

from meshkit_fastprobe.model import Lane, ProbeOptions

@final
class Registration:
    """One probe as registered. The collector does not see it: nothing in here may refer back."""

    def __new__(
        cls,
        name: str,
        probe: Any,
        options: ProbeOptions,
        lane: Lane,
        slot: int,
        generation: int,
        group: int,
        target_at: int = 0,
    ) -> Registration:
        """target_at: where in the name the target begins, when `probe` is shared by many that differ in that alone; else 0."""
    @property
    def name(self) -> str: ...
    @property
    def probe(self) -> Any:
        """A Probe, of a layer above this one. Of those that share one it is made anew each time: not for every run."""
    @property
    def likeness(self) -> Any:
        """The probe, or one that differs from it in its target alone: for who wants to know its kind, not what it asks."""
    @property
    def target(self) -> str: ...
    @property
    def target_at(self) -> int: ...
    options: ProbeOptions
    @property
    def lane(self) -> Lane: ...
    message: str
    """What the last Python-lane result said; native results are described by reason and detail."""
    due_ns: int
    """The phase: some due time of this probe on the scheduling clock. -1 before it is placed."""
    @property
    def slot(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def group(self) -> int: ...
    @property
    def kind(self) -> str: ...
