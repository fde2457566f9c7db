"""Valid files become specs; files that others write are watched; and nothing but a Config or a ConfigError ever comes out."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.config import files
from meshkit_fastprobe.config.document import parse_document
from meshkit_fastprobe.config.files import MAX_FILE_BYTES
from meshkit_fastprobe.config.kinds import RESERVED
from meshkit_fastprobe.config.load import build, load, refresh, target_files_changed
from meshkit_fastprobe.config.show import effective
from meshkit_fastprobe.config.spec import Config
from meshkit_fastprobe.config.toml import to_toml
from meshkit_fastprobe.errors import MAX_ERRORS_SHOWN, ConfigError, ConfigErrors
from meshkit_fastprobe.model import ServerSettings, Settings
from meshkit_fastprobe.probes.builtin import builtin_kinds
from meshkit_fastprobe.probes.http import HttpProbe
from meshkit_fastprobe.probes.http_expect import HttpExpect
from meshkit_fastprobe.probes.tcp import TcpProbe
from meshkit_fastprobe.when import Once

DATA = Path(__file__).parents[2] / "data" / "config"
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        before = path.stat().st_mtime_ns if path.exists() else 0
        path.write_text(text)
        if path.stat().st_mtime_ns == before:
            os.utime(path, ns=(before + 1, before + 1))
        return path

    return write_file


def _load(path: Path) -> Config:
    return load(path, builtin_kinds, lambda: builtin_faults)


@pytest.mark.parametrize("path", sorted(DATA.glob("valid-*.toml")), ids=lambda path: path.stem)
def test_a_valid_file_has_the_expected_probes(path: Path) -> None:
    assert len(_load(path).probes) == int(path.read_text().splitlines()[0].removeprefix("# expect probes: "))


def test_the_example_of_the_contract_means_what_it_says() -> None:
    config = _load(DATA / "valid-contract.toml")
    assert config.settings == Settings(
        host="cp-1", cluster="eu-1", state_dir=str(DATA / "state"), server=ServerSettings(listen="127.0.0.1:9464")
    )
    orders, edge, _ = config.probes
    assert orders.name == "orders"
    assert orders.probe == HttpProbe("http://10.0.0.1:8080/healthz", expect=HttpExpect(status=(200,), body_contains="ok"))
    assert (orders.options.interval_s, orders.options.timeout_s, orders.options.namespace) == (5.0, 1.0, "orders")
    assert (edge.name, edge.probe) == ("edge:10.0.0.1:443", TcpProbe("10.0.0.1:443"))
    assert {spec.options.cluster for spec in config.probes} == {"eu-1"}
    assert orders.source == f"{DATA / 'valid-contract.toml'}:13: probe[0]"


def test_defaults_reach_every_probe_and_a_probe_has_the_last_word() -> None:
    specs = _load(DATA / "valid-everything.toml").by_name
    db, cache = specs["tcp:db.example.org:5432"].options, specs["cache"].options
    assert (db.interval_s, db.timeout_s, db.namespace, db.rise, db.cluster) == (30.0, 2.0, "shop", 1, "eu-1")
    assert (cache.interval_s, cache.timeout_s, cache.namespace, cache.cluster, cache.enabled) == (
        1.0,
        0.25,
        "cache",
        "eu-1",
        False,
    )
    assert cache.depends_on == ("tcp:db.example.org:5432",)


def test_discovered_targets_carry_the_labels_of_their_group() -> None:
    specs = _load(DATA / "valid-everything.toml").by_name
    first, third = specs["discovered:10.0.0.1:80"].options, specs["discovered:10.0.0.3:80"].options
    assert (first.cluster, first.namespace, first.labels) == ("eu-2", "shop", (("env", "prod"), ("tier", "1")))
    assert (third.cluster, third.labels) == ("eu-1", (("env", "overridden"), ("tier", "1")))
    by_name = specs["discovered:by-name"]
    assert by_name.probe.target == "10.0.1.2:80"
    assert specs["discovered:10.0.1.1:80"].options.namespace == "orders"
    assert first is specs["discovered:10.0.0.2:80"].options


def test_a_target_format_makes_urls_of_bare_targets() -> None:
    specs = _load(DATA / "valid-everything.toml").by_name
    assert specs["fleet:10.0.0.2:80"].probe == HttpProbe("http://10.0.0.2:80/healthz")


def test_without_a_host_name_the_operating_system_is_asked() -> None:
    assert _load(DATA / "valid-empty.toml").settings.host
    assert _load(DATA / "valid-empty.toml").settings.server is None


def test_a_shared_timeout_shrinks_to_a_short_interval(write: Write) -> None:
    text = '[defaults]\ntimeout = "2s"\n[[probe]]\nkind = "tcp"\ntarget = "10.0.0.1:1"\ninterval = "100ms"\n'
    assert _load(write("f.toml", text)).probes[0].options.timeout_s == 0.1


# -- files that cannot be read ---


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; create it or correct the path"):
        _load(tmp_path / "none.toml")


def test_a_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        _load(tmp_path)


def test_a_fifo_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.toml")
    with pytest.raises(ConfigError, match="is not a regular file"):
        _load(tmp_path / "fifo.toml")


def test_a_file_without_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, _flags: int) -> int:  # root may read everything, and tests may be run by root
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(files, "_open_at_once", refuse)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied; let this user read it"):
        _load(tmp_path / "f.toml")


def test_a_file_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_bytes(b'[host]\nname = "gr\xfcn"\n')
    with pytest.raises(ConfigError, match="is not UTF-8: line 2, byte 17"):
        _load(tmp_path / "f.toml")


def test_a_file_that_is_too_large_is_told(tmp_path: Path) -> None:
    with (tmp_path / "f.toml").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ConfigError, match="is larger than 16777216 bytes; split it"):
        _load(tmp_path / "f.toml")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_bytes(b'\xef\xbb\xbf[host]\r\nname = "a"\r\n')
    assert _load(tmp_path / "f.toml").settings.host == "a"


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 100_000, "a = " + "1" * 5000, "a = 1979-13-45", '"\\ud800" = 1'],
    ids=["deep", "long", "date", "surrogate"],
)
def test_toml_that_breaks_parsers_is_told(write: Write, text: str) -> None:
    with pytest.raises(ConfigError, match="broken TOML"):
        _load(write("f.toml", text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", "[" * 100_000),
        ("t.json", "1" * 5000),
        ("t.yml", "[" * 20_000),
        ("t.yml", "a: 2024-99-99"),
        ("t.yml", "a: \x07"),
        ("t.yml", "!!python/object/apply:os.getcwd []"),
    ],
    ids=["deep json", "long number", "deep yaml", "date", "control", "tag"],
)
def test_target_files_that_break_parsers_are_told(write: Write, name: str, text: str) -> None:
    write(name, text)
    with pytest.raises(ConfigError, match=f"{name}.*(cannot be read|broken YAML)"):
        _load(write("f.toml", f'[[probe]]\nkind = "tcp"\nfile_sd = "{name}"\n'))


def test_yaml_without_its_package_is_told_with_the_fix(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    write("t.yml", "[]")
    with pytest.raises(ConfigError, match=r"pip install 'meshkit-fastprobe\[yaml\]'"):
        _load(write("f.toml", '[[probe]]\nkind = "tcp"\nfile_sd = "t.yml"\n'))


# -- target files and their changes ---

SD = '[[probe]]\nname = "edge"\nkind = "tcp"\nfile_sd = "*.json"\nrefresh = "5s"\n'


def test_a_pattern_takes_all_its_files_and_none_is_fine(write: Write) -> None:
    path = write("f.toml", SD)
    assert _load(path).probes == ()
    write("b.json", '[{"targets": ["10.0.0.2:1"]}]')
    write("a.json", '[{"targets": ["10.0.0.1:1"]}]')
    write(".hidden.json", "broken")
    assert [spec.name for spec in _load(path).probes] == ["edge:10.0.0.1:1", "edge:10.0.0.2:1"]


def test_changed_new_and_vanished_target_files_are_noticed(write: Write) -> None:
    path = write("f.toml", SD)
    one = write("a.json", '[{"targets": ["10.0.0.1:1"]}]')
    config = _load(path)
    assert config.refresh_s == 5.0
    assert not target_files_changed(config)
    write("a.json", '[{"targets": ["10.0.0.3:1"]}]')
    assert target_files_changed(config)
    config = refresh(config)
    assert [spec.name for spec in config.probes] == ["edge:10.0.0.3:1"]
    assert not target_files_changed(config)
    write("b.json", "[]")
    assert target_files_changed(config)
    config = refresh(config)
    one.unlink()
    assert target_files_changed(config)
    assert refresh(config).probes == ()


def test_a_refresh_does_not_look_at_the_main_file(write: Write) -> None:
    path = write("f.toml", SD)
    config = _load(path)
    path.write_text("half-edited [")
    write("a.json", '[{"targets": ["10.0.0.1:1"]}]')
    assert len(refresh(config).probes) == 1


def test_a_vanished_targets_file_is_a_change_that_cannot_be_applied(write: Write) -> None:
    targets = write("t.txt", "10.0.0.1:1\n")
    config = _load(write("f.toml", '[[probe]]\nkind = "tcp"\ntargets_file = "t.txt"\n'))
    assert config.refresh_s == 30.0
    targets.unlink()
    assert target_files_changed(config)
    with pytest.raises(ConfigError, match="does not exist"):
        refresh(config)


def test_without_target_files_there_is_nothing_to_refresh() -> None:
    config = _load(DATA / "valid-contract.toml")
    assert config.refresh_s is None
    assert not target_files_changed(config)


# -- plug-ins ---


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return "plugin_for_tests"


def test_a_plug_in_adds_kinds_to_this_configuration_only(write: Write, plugin: str) -> None:
    config = _load(
        write(
            "f.toml",
            f'plugins = ["{plugin}:register"]\n[[probe]]\nkind = "queue"\ntarget = "orders"\nmax_depth = 5\ngroup-by = "key"\n',
        )
    )
    assert (config.probes[0].name, config.probes[0].probe.kind) == ("queue:orders", "queue")
    assert "queue" not in builtin_kinds
    assert effective(config)["probe"][0]["group-by"] == "key"
    assert refresh(config).probes == config.probes


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('target = "a"', "probe.0.: max_depth is missing"),
        ('target = "a"\nmax_depth = -1', r":6: probe.0.\.max_depth: -1 is negative; use 0 or more"),
        ('target = "a"\nmax_dept = 1', "did you mean max_depth"),
        ('target = "explode"\nmax_depth = 1', "Queue raised RuntimeError: boom"),
    ],
)
def test_what_a_plug_in_refuses_is_told_in_the_words_of_the_file(write: Write, plugin: str, table: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _load(write("f.toml", f'plugins = [\n"{plugin}:register"]\n[[probe]]\nkind = "queue"\n{table}\n'))


def test_a_plug_in_that_wants_a_taken_name_is_told(write: Write, plugin: str) -> None:
    with pytest.raises(ConfigError, match=r"plugins\[0\]: .* was refused: probe kind 'tcp'"):
        _load(write("f.toml", f'plugins = ["{plugin}:register_taken"]\n'))


# -- everything at once ---


def test_problems_are_told_in_the_order_of_their_lines() -> None:
    with pytest.raises(ConfigErrors) as caught:
        _load(DATA / "invalid-several.toml")
    lines = [int(error.where.split(":")[1]) for error in caught.value.errors]
    assert lines == sorted(lines)


def test_thousands_of_problems_are_counted_and_the_first_are_shown(write: Write) -> None:
    write("t.txt", "".join(f"bad{number}\n" for number in range(5000)))
    with pytest.raises(ConfigErrors) as caught:
        _load(write("f.toml", '[[probe]]\nkind = "tcp"\ntargets_file = "t.txt"\n'))
    assert len(caught.value.errors) == 5000
    assert str(caught.value).endswith(f"... and {5000 - MAX_ERRORS_SHOWN} more")


def test_a_hundred_thousand_targets_load_in_a_few_seconds(write: Write) -> None:
    write("t.txt", "".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}:80\n" for n in range(100_000)))
    path = write("f.toml", '[[probe]]\nkind = "tcp"\ntargets_file = "t.txt"\n')
    before = time.process_time()
    config = _load(path)
    assert len(config.probes) == 100_000
    assert time.process_time() - before < 10
    assert len({id(spec.options) for spec in config.probes}) == 1


words = st.sampled_from(
    ["host", "server", "engine", "defaults", "probe", "plugins", "chaos", "name", "kind", "tcp", "http", "dns", "listen",
     "expect", "status", "headers", "10.0.0.1:1", "http://a/", "5s", "query_name", "labels", "max_probes",
     *sorted(RESERVED), "target"]
)  # fmt: skip
keys = words | st.text(st.characters(codec="utf-8"), max_size=5)
scalars = words | st.booleans() | st.integers(-5, 10**12) | st.floats() | st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=10
)
tables = st.dictionaries(keys, values, max_size=6)
almost_probes = st.fixed_dictionaries(
    {"kind": st.sampled_from(["tcp", "http", "dns"]), "target": st.sampled_from(["10.0.0.1:1", "http://a/", "x"])},
    optional={
        "name": values,
        "interval": values,
        "timeout": values,
        "labels": values,
        "expect": values,
        "depends_on": values,
        "query_name": words,
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "host": tables | values, "server": tables | values, "engine": tables | values, "defaults": tables | values,
        "probe": st.lists(tables | almost_probes, max_size=3) | values, "other": values,
    },
)  # fmt: skip


@given(documents)
def test_any_document_is_a_config_or_a_config_error(document: dict[str, Any]) -> None:
    try:
        config = build(parse_document("f.toml", to_toml(document)), builtin_kinds, lambda: builtin_faults)
    except ConfigError as error:
        message = str(error)
    else:
        message = ""
        assert all(spec.options.timeout_s <= spec.options.interval_s for spec in config.probes)
    assert all(line.isprintable() for line in message.splitlines())


@given(st.text(st.characters(codec="utf-8"), max_size=200) | st.text('[]{}="\n.#abc,1', max_size=60))
def test_any_text_is_a_config_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        build(parse_document("f.toml", text), builtin_kinds, lambda: builtin_faults)


def test_times_of_toml_without_an_offset_are_in_the_zone_of_the_window(tmp_path: Path) -> None:
    path = tmp_path / "fastprobe.toml"
    path.write_text(
        '[[maintenance]]\nreason = "work"\nname = "*"\nstart = 2026-07-01T02:00:00\nend = 2026-07-01T01:00:00Z\n'
        'time_zone = "Europe/Berlin"\n'
    )
    [window] = load(path, builtin_kinds, lambda: builtin_faults).maintenance
    assert isinstance(window.when, Once)
    assert window.when.start.timestamp() == datetime(2026, 7, 1, tzinfo=UTC).timestamp()
    assert window.when.end - window.when.start.astimezone(UTC) == timedelta(hours=1)
