"""The filters that listings share with the command line: cluster, namespace, kind, state, label=k=v (repeatable), name=GLOB."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.model import State
from meshkit_fastprobe.server.query import Query, invalid, word_of

FILTERS: Final = ("cluster", "namespace", "kind", "state", "label", "name")

_STATES: Final = {state.name.lower(): state for state in State}


class Filters(msgspec.Struct, frozen=True):
    cluster: str | None
    namespace: str | None
    kind: str | None
    state: State | None
    labels: tuple[tuple[str, str], ...]
    name: str | None

    @classmethod
    def read(cls, query: Query) -> Filters:
        return cls(
            cluster=query.text("cluster"),
            namespace=query.text("namespace"),
            kind=query.text("kind"),
            state=query.one("state", word_of("state", _STATES), None),
            labels=tuple(sorted(_label(text) for text in query.all("label"))),
            name=query.text("name"),
        )

    @property
    def fingerprint(self) -> str:
        """Equal for requests that list the same probes."""
        return repr(msgspec.structs.astuple(self))

    def select(self, snapshot: Snapshot) -> NDArray[np.intp]:
        """Rows of the snapshot, ascending, which is by name."""
        wanted: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(self).items() if value not in {None, ()}
        }
        if self.labels:
            wanted["labels"] = dict(self.labels)
        return snapshot.select(**wanted)


EVERYTHING: Final = Filters(None, None, None, None, (), None)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise invalid("label", f"is {text[:80]!r}", "give label=KEY=VALUE, once for each label")
    return key, value
