"""Whether a kernel has netem, by what it says of itself: no discipline is asked for."""

from __future__ import annotations

import errno
import gzip
import os
import platform
from pathlib import Path

import pytest

from meshkit_fastprobe.chaos.network.netem import has_netem, way


def kernel(root: Path, config: str | None = None, modules: str | None = None, *, loaded: bool = False) -> Path:
    if config is not None:
        (root / "proc").mkdir()
        (root / "proc/config.gz").write_bytes(gzip.compress(config.encode()))
    if modules is not None:
        where = root / "lib/modules" / platform.release()
        where.mkdir(parents=True)
        (where / "modules.dep").write_text(modules)
    if loaded:
        (root / "sys/module/sch_netem").mkdir(parents=True)
    return root


DEP = "kernel/net/sched/sch_netem.ko.zst:\n"


@pytest.mark.parametrize(
    ("told", "there"),
    [
        ({}, None),
        ({"loaded": True}, True),
        ({"config": "CONFIG_NET_SCH_NETEM=y\n"}, True),
        ({"config": "# CONFIG_NET_SCH_NETEM is not set\n", "modules": DEP}, False),
        ({"config": "CONFIG_NET_SCH_NETEM=m\n", "modules": DEP}, True),
        ({"config": "CONFIG_NET_SCH_NETEM=m\n", "modules": ""}, False),
        ({"config": "CONFIG_NET_SCH_NETEM=m\n"}, None),
        ({"modules": "kernel/net/sched/sch_tbf.ko:\n"}, False),
    ],
)
def test_a_kernel_has_it_when_it_says_so(tmp_path: Path, told: dict[str, object], there: bool | None) -> None:
    assert has_netem(kernel(tmp_path, **told)) is there  # type: ignore[arg-type]  # keys as above


def test_a_configuration_that_is_torn_is_none(tmp_path: Path) -> None:
    kernel(tmp_path, config="CONFIG_NET_SCH_NETEM=y\n" * 1000)
    file = tmp_path / "proc/config.gz"
    file.write_bytes(file.read_bytes()[:-9])
    assert has_netem(tmp_path) is None


def test_modules_that_may_not_be_looked_at_keep_no_experiment_from_being_planned(tmp_path: Path, monkeypatch) -> None:
    """As in a unit with ProtectKernelModules=, where looking raises PermissionError."""
    modules = kernel(tmp_path, modules=DEP) / "lib/modules"

    def closed(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    seen = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: (closed if modules in path.parents else seen)(path, **how))
    monkeypatch.setattr(Path, "read_text", closed)
    told = way(tmp_path)
    assert (told.available, told.reason.partition(";")[0]) == (False, "sch_netem may be there")


@pytest.mark.parametrize("loaded", [True, False])
def test_it_is_never_a_way_and_the_reason_says_what_the_kernel_has(tmp_path: Path, loaded: bool) -> None:
    told = way(kernel(tmp_path, config="", loaded=loaded))
    assert not told.available
    assert told.reason.startswith("this kernel has sch_netem" if loaded else "this kernel has no sch_netem")
