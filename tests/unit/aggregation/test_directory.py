import msgspec
import numpy as np

from meshkit_fastprobe.aggregation.directory import Directory


def suppressed(directory, *unhealthy):
    mask = np.isin(directory.names, unhealthy)
    return [name for name, hit in zip(directory.names, directory.suppressed(mask), strict=True) if hit]


def test_rows_are_in_the_order_of_names(world):
    for name in ("pear", "apple", "Zed", "fig"):
        world.add(name)
    directory = Directory.read(world.catalog)
    assert directory.names == ["Zed", "apple", "fig", "pear"]
    assert [world.catalog.at(slot).name for slot in directory.slots] == directory.names
    assert directory.generations.tolist() == [world.catalog[name].generation for name in directory.names]


def test_a_name_leads_to_its_row_and_an_unknown_one_to_none(world):
    for name in ("a", "b", "d"):
        world.add(name)
    directory = Directory.read(world.catalog)
    assert [directory.row(name) for name in ("a", "b", "d")] == [0, 1, 2]
    assert [directory.row(name) for name in ("", "c", "e", "A")] == [None] * 4


def test_packed_names_decode_to_the_names(world):
    for name in ("ü", "a", "b"):
        world.add(name)
    directory = Directory.read(world.catalog)
    assert msgspec.msgpack.decode(directory.packed_names) == directory.names


def test_suppression_reaches_dependents_of_dependents(world):
    world.add("db")
    world.add("api", depends_on=("db",))
    world.add("web", depends_on=("api",))
    world.add("other")
    assert suppressed(Directory.read(world.catalog), "db") == ["api", "web"]


def test_an_unhealthy_dependent_does_not_suppress_what_it_depends_on(world):
    world.add("db")
    world.add("api", depends_on=("db",))
    assert suppressed(Directory.read(world.catalog), "api") == []


def test_one_unhealthy_dependency_of_many_is_enough(world):
    world.add("a")
    world.add("b")
    world.add("both", depends_on=("a", "b"))
    assert suppressed(Directory.read(world.catalog), "b") == ["both"]


def test_a_circle_of_dependencies_ends(world):
    world.add("a", depends_on=("c",))
    world.add("b", depends_on=("a",))
    world.add("c", depends_on=("b",))
    assert suppressed(Directory.read(world.catalog), "a") == ["a", "b", "c"]


def test_a_dependency_that_is_not_registered_suppresses_nothing(world):
    world.add("api", depends_on=("gone",))
    directory = Directory.read(world.catalog)
    assert directory.dependents.size == 0
    assert suppressed(directory, "api") == []


def test_nobody_registered_is_a_directory_too(world):
    directory = Directory.read(world.catalog)
    assert directory.names == []
    assert directory.row("a") is None
    assert directory.suppressed(np.zeros(0, bool)).tolist() == []
