import pytest

from meshkit_fastprobe.server.problems import INVALID_PARAMETER, UNKNOWN_PARAMETER, Problem
from meshkit_fastprobe.server.query import MAX_PARAMETERS, TRUTH, Parameter, Query, whole_number, word_of

KNOWN = tuple(Parameter(name, "", repeatable=name == "label") for name in ("state", "name", "label", "page_size"))


def refusal(query_string: str) -> Problem:
    with pytest.raises(Problem) as caught:
        Query(query_string, KNOWN)
    return caught.value


def test_unknown_keys_are_all_named_with_the_nearest_known_one():
    problem = refusal("stat=healthy&colour=red")
    assert problem.kind is UNKNOWN_PARAMETER
    assert "stat" in problem.detail
    assert "colour" in problem.detail
    assert "did you mean state?" in problem.hint
    assert "page_size" in problem.hint


def test_a_key_that_is_not_repeatable_is_refused_the_second_time():
    problem = refusal("name=a&name=b")
    assert problem.kind is INVALID_PARAMETER
    assert problem.detail.startswith("name ")


def test_a_repeatable_key_keeps_its_order():
    assert Query("label=b%3D2&label=a%3D1", KNOWN).all("label") == ["b=2", "a=1"]


@pytest.mark.parametrize("query_string", ["name=%ff", "&".join(["label=a"] * (MAX_PARAMETERS + 1))])
def test_what_cannot_be_decoded_or_is_too_much_is_refused(query_string):
    assert refusal(query_string).kind is INVALID_PARAMETER


@pytest.mark.parametrize("text", ["0", "-1", "+1", "10001", "1e3", "", "\uff11", "9" * 5000, "5 "])
def test_a_page_size_out_of_bounds_names_the_bounds(text):
    with pytest.raises(Problem) as caught:
        whole_number("page_size", 1, 10_000)(text)
    assert "from 1 to 10000" in caught.value.hint


def test_a_word_that_is_not_one_of_them_names_them():
    assert word_of("per_probe", TRUTH)("false") is False
    with pytest.raises(Problem) as caught:
        word_of("per_probe", TRUTH)("no")
    assert caught.value.hint == "one of: true, false"
