"""Every broken file in tests/data/config is refused with the words that its first lines expect."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.config.load import load
from meshkit_fastprobe.errors import ConfigError, ConfigErrors
from meshkit_fastprobe.probes.builtin import builtin_kinds

DATA = Path(__file__).parents[2] / "data" / "config"
INVALID = sorted(DATA.glob("invalid-*.toml"))


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem.removeprefix("invalid-"))
def test_a_broken_file_is_refused_in_the_expected_words(path: Path) -> None:
    expected = [line.removeprefix("# expect: ") for line in path.read_text().splitlines() if line.startswith("# expect: ")]
    with pytest.raises(ConfigError) as caught:
        load(path, builtin_kinds, lambda: builtin_faults)
    message = str(caught.value)
    assert expected
    assert [words for words in expected if words not in message] == []
    assert str(path.parent) in message
    errors = caught.value.errors if isinstance(caught.value, ConfigErrors) else (caught.value,)
    assert all(error.problem and error.fix for error in errors)
    if "several" not in path.stem:
        assert len(errors) == 1


def test_there_is_a_broken_file_for_every_rule() -> None:
    assert len(INVALID) > 100
