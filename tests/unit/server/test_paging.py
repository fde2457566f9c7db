from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.server.paging import make_token, read_number, read_token
from meshkit_fastprobe.server.problems import INVALID_PAGE_TOKEN, Problem


@given(name=st.text(max_size=300), filters=st.text(max_size=50))
def test_a_token_gives_back_the_name_it_was_made_from(name, filters):
    token = make_token(name, filters)
    assert read_token(token, filters) == name
    assert token.replace("-", "").replace("_", "").isalnum()


@given(name=st.text(max_size=40), at=st.integers(0, 10_000), letter=st.sampled_from("ABcd01-_"))
def test_an_altered_token_is_refused(name, at, letter):
    token = make_token(name, "")
    at %= len(token)
    altered = token[:at] + letter + token[at + 1 :]
    padding = "=" * (-len(token) % 4)
    if urlsafe_b64decode(altered + padding) == urlsafe_b64decode(token + padding):
        assert read_token(altered, "") == name  # the last letter carries bits that mean nothing
        return
    with pytest.raises(Problem) as caught:
        read_token(altered, "")
    assert caught.value.kind is INVALID_PAGE_TOKEN


@pytest.mark.parametrize("token", ["", "x", "====", "ü", "AAAA", "A" * 10_000, "a b", "\x00"])
def test_nonsense_is_a_problem_and_not_an_error(token):
    with pytest.raises(Problem):
        read_token(token, "")


def test_a_token_made_for_other_filters_is_refused():
    with pytest.raises(Problem):
        read_token(make_token("pg", "state=healthy"), "state=unhealthy")


def test_a_number_comes_back_and_nothing_else_does():
    """Whoever knows how tokens are made can make one of anything."""
    assert read_number(make_token("17", "f"), "f") == 17
    for forged in ("", "abc", "-1", "1.5", " 7", "9" * 19, "9" * 5000, "\u0663", "1_0"):
        with pytest.raises(Problem) as caught:
            read_number(make_token(forged, "f"), "f")
        assert caught.value.kind is INVALID_PAGE_TOKEN
