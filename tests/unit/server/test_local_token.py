"""The token file on a real file system."""

import os
import stat

import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.server.local_token import TOKEN_FILE, read_token, rotate_token


def test_the_token_file_is_for_its_owner_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        token = rotate_token(tmp_path / "state")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "state" / TOKEN_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert read_token(tmp_path / "state") == token
    assert len(token) >= 40


def test_each_start_has_a_new_token_and_leaves_nothing_else_behind(tmp_path):
    first = rotate_token(tmp_path)
    second = rotate_token(tmp_path)
    assert first != second
    assert read_token(tmp_path) == second
    assert [entry.name for entry in tmp_path.iterdir()] == [TOKEN_FILE]


def test_a_symbolic_link_in_the_place_of_the_token_is_refused_and_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    state = tmp_path / "state"
    state.mkdir()
    (state / TOKEN_FILE).symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="not a regular file"):
        rotate_token(state)
    assert elsewhere.read_text() == "mine"
    assert read_token(state) is None


def test_a_directory_that_everybody_may_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="chmod o-w"):
        rotate_token(tmp_path)
    tmp_path.chmod(0o1777)
    rotate_token(tmp_path)


def test_a_state_dir_that_is_a_file_is_a_configuration_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"host\.state_dir"):
        rotate_token(tmp_path / "file")


def test_no_token_file_reads_as_none(tmp_path):
    assert read_token(tmp_path) is None
    (tmp_path / TOKEN_FILE).touch()
    assert read_token(tmp_path) is None
