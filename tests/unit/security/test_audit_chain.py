from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.security.audit_chain import Entry, Head, Record, Verdict, canonical, check_chain, link

KEY = bytes(range(32))


def chain(n: int, key: bytes = KEY) -> list[tuple[int, bytes, bytes]]:
    rows, mac = [], Head().mac
    for seq in range(1, n + 1):
        content = canonical(Record(seq, 10 * seq, seq, "boot", False, Entry(actor="anna", action="probes.run", result="done")))
        mac = link(key, mac, content)
        rows.append((seq, content, mac))
    return rows


def test_a_whole_chain_is_intact_and_tells_its_head():
    rows = chain(5)
    report = check_chain(KEY, Head(), rows, [Head(3, rows[2][2])])
    assert (report.verdict, report.records, report.head) == (Verdict.INTACT, 5, Head(5, rows[4][2]))


def test_an_empty_chain_is_intact():
    assert check_chain(KEY, Head(), [], []).verdict is Verdict.INTACT


@given(st.integers(0, 9), st.integers(0, 10**6))
def test_a_flipped_bit_is_found_where_it_is(index, bit):
    rows = chain(10)
    seq, content, mac = rows[index]
    flipped = bytearray(content)
    flipped[bit // 8 % len(content)] ^= 1 << bit % 8
    rows[index] = (seq, bytes(flipped), mac)
    report = check_chain(KEY, Head(), rows, [])
    assert (report.verdict, report.at, report.records) == (Verdict.ALTERED, seq, index)


@given(st.integers(0, 8))
def test_a_record_taken_out_is_missed(index):
    rows = chain(10)
    del rows[index]
    report = check_chain(KEY, Head(), rows, [])
    assert (report.verdict, report.at) == (Verdict.MISSING, index + 1)


@given(st.integers(0, 8))
def test_two_records_that_changed_places_are_found(index):
    rows = chain(10)
    (a, first, first_mac), (b, second, second_mac) = rows[index], rows[index + 1]
    rows[index : index + 2] = [(a, second, second_mac), (b, first, first_mac)]
    report = check_chain(KEY, Head(), rows, [])
    assert (report.verdict, report.at) == (Verdict.ALTERED, index + 1)


@given(st.integers(0, 9))
def test_a_cut_tail_is_found_by_whoever_knows_the_head(left):
    rows = chain(10)
    head = Head(10, rows[-1][2])
    assert check_chain(KEY, Head(), rows[:left], []).verdict is Verdict.INTACT
    report = check_chain(KEY, Head(), rows[:left], [head])
    assert (report.verdict, report.at) == (Verdict.TRUNCATED, left + 1)


def test_a_history_written_anew_with_the_key_meets_not_what_was_vouched_for():
    vouched = Head(5, chain(10, bytes(32))[4][2])
    report = check_chain(KEY, Head(), chain(10), [vouched])
    assert (report.verdict, report.at) == (Verdict.ALTERED, 5)


def test_two_heads_that_contradict_each_other_are_a_verdict_whichever_is_named_last():
    rows = chain(10)
    ours, others = Head(5, rows[4][2]), Head(5, chain(10, bytes(32))[4][2])
    for known in ([ours, others], [others, ours]):
        report = check_chain(KEY, Head(), rows, known)
        assert (report.verdict, report.at) == (Verdict.ALTERED, 5)
        assert report.why == "two heads were vouched for in this place"
    assert check_chain(KEY, Head(), rows, [ours, ours]).verdict is Verdict.INTACT


def test_a_chain_may_begin_at_a_head_that_was_kept():
    rows = chain(10)
    assert check_chain(KEY, Head(4, rows[3][2]), rows[4:], []).verdict is Verdict.INTACT
    assert check_chain(KEY, Head(4, rows[2][2]), rows[4:], []).verdict is Verdict.ALTERED
