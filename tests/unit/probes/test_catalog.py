"""Who is who: names and slots agree, and tag sets are numbered densely."""

from __future__ import annotations

import pytest

from meshkit_fastprobe.errors import CapacityError, DuplicateNameError, UnknownProbeError
from meshkit_fastprobe.model import Lane, ProbeOptions
from meshkit_fastprobe.probes import catalog as module
from meshkit_fastprobe.probes.catalog import Catalog, Groups, Registration
from meshkit_fastprobe.probes.tcp import TcpProbe


def _registration(name: str, slot: int) -> Registration:
    return Registration(name, TcpProbe("a:1"), ProbeOptions(), Lane.NATIVE, slot, 0, 1)


def test_a_registration_is_found_by_name_and_by_slot() -> None:
    catalog = Catalog(10)
    registration = _registration("pg", 5)
    catalog.put(registration)
    assert catalog["pg"] is registration
    assert catalog.at(5) is registration
    assert catalog.at(4) is None
    assert catalog.at(99) is None
    assert list(catalog) == [registration]
    assert len(catalog) == 1
    assert registration.kind == "tcp"


def test_what_was_dropped_is_found_no_more() -> None:
    catalog = Catalog(10)
    registration = _registration("pg", 0)
    catalog.put(registration)
    catalog.drop(registration)
    assert catalog.at(0) is None
    with pytest.raises(UnknownProbeError, match="no probe is named 'pg'"):
        catalog["pg"]


def test_every_change_moves_the_version() -> None:
    catalog = Catalog(10)
    versions = [catalog.version]
    registration = _registration("pg", 0)
    catalog.put(registration)
    versions.append(catalog.version)
    catalog.drop(registration)
    versions.append(catalog.version)
    assert versions == sorted(set(versions))


def test_a_taken_name_is_refused() -> None:
    catalog = Catalog(10)
    catalog.put(_registration("pg", 0))
    with pytest.raises(DuplicateNameError, match="taken"):
        catalog.refuse(["pg"])
    with pytest.raises(DuplicateNameError, match="taken"):
        catalog.refuse(["other", "other"])


def test_more_probes_than_there_is_room_for_are_refused() -> None:
    catalog = Catalog(1)
    catalog.put(_registration("pg", 0))
    with pytest.raises(CapacityError, match="max_probes"):
        catalog.refuse(["other"])


def test_kinds_are_numbered_in_the_order_of_their_coming() -> None:
    catalog = Catalog(1)
    assert [catalog.kind_number(kind) for kind in ("tcp", "http", "tcp")] == [0, 1, 0]
    assert catalog.kinds == ["tcp", "http"]


def test_equal_tags_share_a_number() -> None:
    groups = Groups()
    one = groups.number(("eu", "orders", "tcp", ()))
    assert groups.number(("eu", "orders", "tcp", ())) == one
    assert groups.number(("eu", "orders", "http", ())) == one + 1
    assert groups.tags[one] == ("eu", "orders", "tcp", ())
    assert len(groups) == 3


def test_tag_sets_beyond_the_bound_share_group_zero_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_GROUPS", 2)
    groups = Groups()
    assert [groups.number((str(n), "", "", ())) for n in range(3)] == [1, 0, 0]
    assert groups.overflowed == 2
