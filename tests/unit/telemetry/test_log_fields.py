"""Lines of the log for machines."""

import json
import logging
import sys

from meshkit_fastprobe.telemetry.log_fields import ConsoleLines, JsonLines


def record(message="%s is %s", args=("pg", "down"), exc_info=None, **fields):
    made = logging.LogRecord("meshkit_fastprobe.probes", logging.ERROR, "x.py", 1, message, args, exc_info)
    vars(made).update(fields)
    return made


def test_a_line_is_an_object_with_its_fields():
    line = JsonLines().format(record(probe="pg", at=12.5, trace_id="ab" * 16))
    told = json.loads(line)
    assert "\n" not in line
    assert (told["level"], told["logger"], told["message"]) == ("error", "meshkit_fastprobe.probes", "pg is down")
    assert (told["probe"], told["at"], told["trace_id"]) == ("pg", 12.5, "ab" * 16)
    assert told["time"].endswith("+00:00")


def test_what_is_no_json_is_told_as_text_and_no_field_hides_the_message():
    told = json.loads(JsonLines().format(record(where=object, level="mine")))
    assert "object" in told["where"]
    assert told["level"] == "error"


def test_an_error_comes_with_where_it_was():
    try:
        int("broken")
    except ValueError:
        told = json.loads(JsonLines().format(record(exc_info=sys.exc_info())))
    assert "ValueError: invalid literal" in told["exception"]


def test_words_that_have_no_encoding_and_integers_that_have_no_width_are_told_all_the_same():
    told = json.loads(JsonLines().format(record(args=("\ud800", "down"), deep=[{"\udfff": 1}], size=1 << 70)))
    assert told["message"] == "\\ud800 is down"
    assert told["size"] == str(1 << 70)


def test_nothing_in_a_message_begins_a_line_or_steers_a_terminal():
    line = ConsoleLines().format(record(args=("a\nb\r\x1b[2J\u2028", "\x85down")))
    assert line.endswith(r"a\nb\r\x1b[2J\u2028 is \x85down")


def forge():
    raise ValueError("first\n2026-01-01 INFO forged: second")


def test_of_a_traceback_every_line_is_indented():
    try:
        forge()
    except ValueError:
        first, *rest = ConsoleLines().format(record(exc_info=sys.exc_info())).split("\n")
    assert first.endswith("pg is down")
    assert all(line.startswith("    ") for line in rest)
    assert "forged" in rest[-1]
