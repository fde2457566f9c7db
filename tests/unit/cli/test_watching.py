import io
import re

from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.cli import watching
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.watching import Screen

WIDTH, HEIGHT = 20, 6
MOVES = re.compile(r"\x1b\[(\d+);1H|\x1b\[(K|J|2J|0m)|\x1b\[\?\d+[hl]|([^\x1b]+)")


class Terminal:
    """What a terminal shows of what was written to it: as much of one as Screen uses."""

    def __init__(self):
        self.lines = ["junk"] * HEIGHT

    def feed(self, written):
        row = column = 0
        for to, clear, text in MOVES.findall(written):
            if to:
                row, column = int(to) - 1, 0
            elif clear == "K":
                self.lines[row] = self.lines[row][:column]
            elif clear == "J":
                self.lines[row:] = [""] * (HEIGHT - row)
            elif clear == "2J":
                self.lines = [""] * HEIGHT
            elif text:
                self.lines[row] = self.lines[row][:column] + text + self.lines[row][column + len(text) :]
                column += len(text)
        return [line.rstrip() for line in self.lines]


pictures = st.lists(st.lists(st.text("ab ", max_size=WIDTH), max_size=HEIGHT + 2), min_size=1, max_size=8)


@given(pictures)
def test_the_terminal_shows_the_last_picture_whatever_stood_there(shown):
    out, terminal = io.StringIO(), Terminal()
    screen = Screen(out)
    for picture in shown:
        screen.show(picture, (WIDTH, HEIGHT))
        seen = terminal.feed(out.getvalue())
        out.seek(0)
        out.truncate()
        padded = [line.rstrip() for line in picture[:HEIGHT]] + [""] * (HEIGHT - len(picture))
        assert seen == padded


def test_only_lines_that_changed_are_written():
    out = io.StringIO()
    screen = Screen(out)
    screen.show(["one", "two", "three"], (WIDTH, HEIGHT))
    out.truncate(0)
    assert screen.show(["one", "TWO", "three"], (WIDTH, HEIGHT)) == 1
    assert "TWO" in out.getvalue()
    assert "one" not in out.getvalue()
    out.truncate(0)
    assert screen.show(["one", "TWO", "three"], (WIDTH, HEIGHT)) == 0
    assert out.getvalue().strip("\0") == ""


def test_another_size_draws_everything_anew():
    screen = Screen(io.StringIO())
    screen.show(["one", "two"], (WIDTH, HEIGHT))
    assert screen.show(["one", "two"], (WIDTH, HEIGHT + 1)) == 2


def test_without_a_terminal_only_a_picture_that_differs_is_printed(monkeypatch, capsys):
    looks = iter(["one", "one", "two"])

    def look():
        try:
            print(next(looks))
        except StopIteration:
            raise KeyboardInterrupt from None
        return Exit.UNHEALTHY

    monkeypatch.setattr(watching.time, "sleep", lambda _s: None)
    assert watching.repeat(look, watch=True) == Exit.UNHEALTHY
    assert capsys.readouterr().out == "one\n\ntwo\n"


def test_a_host_that_goes_away_is_told_and_watched_on(monkeypatch, capsys):
    looks = iter([None, CliError("connection refused", "start it", Exit.UNREACHABLE), KeyboardInterrupt()])

    def look():
        told = next(looks)
        if told is not None:
            raise told
        print("fine")
        return Exit.WELL

    monkeypatch.setattr(watching.time, "sleep", lambda _s: None)
    assert watching.repeat(look, watch=True) == Exit.UNREACHABLE
    assert "connection refused" in capsys.readouterr().out
