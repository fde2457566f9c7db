"""A confirmation is good once, soon, here, for this plan and for who asked."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.security.confirmation import ConfirmationRefusedError, Confirmations

SAID = {"plan": "p" * 64, "run": "a-1", "subject": "user:anna", "standing": "chaos-operator"}


class Clock:
    now_ns = 5_000_000_000

    def __call__(self):
        return self.now_ns


def issued(clock=None, host="cp-1"):
    confirmations = Confirmations(host, now_ns=clock or Clock())
    return confirmations, confirmations.issue(**SAID, lasts_s=60)


def test_what_was_issued_is_redeemed_once():
    confirmations, token = issued()
    confirmations.redeem(token, **SAID)
    with pytest.raises(ConfirmationRefusedError, match="used already"):
        confirmations.redeem(token, **SAID)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plan": "q" * 64}, "another plan"),
        ({"run": "a-2"}, "another plan"),
        ({"subject": "user:bob"}, "somebody else"),
        ({"standing": "admin"}, "roles have changed"),
    ],
)
def test_it_confirms_nothing_else(changes, words):
    confirmations, token = issued()
    with pytest.raises(ConfirmationRefusedError, match=words):
        confirmations.redeem(token, **{**SAID, **changes})
    confirmations.redeem(token, **SAID)


def test_a_millisecond_after_its_time_it_is_refused():
    clock = Clock()
    confirmations, token = issued(clock)
    clock.now_ns += 60_000_000_000 - 1
    confirmations.check(token, **SAID)
    clock.now_ns += 1_000_000
    with pytest.raises(ConfirmationRefusedError, match="expired"):
        confirmations.redeem(token, **SAID)


def test_after_a_restart_no_token_of_before_is_good():
    _, token = issued()
    again, _ = issued()
    with pytest.raises(ConfirmationRefusedError, match="no confirmation of this host"):
        again.redeem(token, **SAID)


def test_every_byte_counts():
    confirmations, token = issued()
    for at, character in enumerate(token):
        other = token[:at] + ("A" if character != "A" else "B") + token[at + 1 :]
        with pytest.raises(ConfirmationRefusedError):
            confirmations.redeem(other, **SAID)
    confirmations.redeem(token, **SAID)


def test_a_token_with_spare_bits_set_is_another_token():
    confirmations, token = issued()
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    twins = [
        token[:-1] + last for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" if last != token[-1]
    ]
    same = [twin for twin in twins if base64.urlsafe_b64decode(twin + "=" * (-len(twin) % 4)) == raw]
    for twin in same:
        with pytest.raises(ConfirmationRefusedError):
            confirmations.check(twin, **SAID)


@given(st.text(max_size=300))
def test_any_other_text_is_refused(text):
    confirmations, _ = issued()
    with pytest.raises(ConfirmationRefusedError):
        confirmations.check(text, **SAID)


def test_used_numbers_are_forgotten_once_their_time_is_over():
    clock = Clock()
    confirmations = Confirmations("cp-1", now_ns=clock)
    for _ in range(100):
        confirmations.redeem(confirmations.issue(**SAID, lasts_s=1), **SAID)
    clock.now_ns += 2_000_000_000
    confirmations.redeem(confirmations.issue(**SAID, lasts_s=1), **SAID)
    assert len(confirmations._used) == 1
