"""The audit told elsewhere, old records let go, and a disk that fails: nothing is lost, and nothing is done unrecorded."""

from __future__ import annotations

import json
import random
import shutil
import socket
import sqlite3
import stat
import time
from contextlib import closing, contextmanager

import msgspec
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import AuditSettings
from meshkit_fastprobe.errors import AuditError
from meshkit_fastprobe.security import audit_retention
from meshkit_fastprobe.security.audit import Audit
from meshkit_fastprobe.security.audit_chain import Entry, Record, Verdict, canonical, link
from meshkit_fastprobe.security.audit_copies import Copies
from meshkit_fastprobe.security.audit_retention import Retention
from meshkit_fastprobe.security.audit_store import AuditStore, export, verify
from tests.integration.security.bad_disk import needs_a_compiler, run_on_bad_disk

pytestmark = pytest.mark.integration

RUN = Entry(actor="anna", action="probes.run", scope="orders-db", result="done", reason="looks slow", ticket="OPS-1")


def audit_of(directory, *copies, **settings):
    return Audit(directory, boot_id="b", host="cp-1", settings=AuditSettings(copy_to=copies, **settings))


def numbers(path):
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()]


async def test_a_file_gets_every_record_as_the_export_tells_it_and_goes_on_after_a_restart(tmp_path):
    path = tmp_path / "copy.jsonl"
    for _ in range(2):
        async with audit_of(tmp_path, f"file:{path}") as audit:
            for _ in range(20):
                await audit.append(RUN)
    assert path.read_text().splitlines() == [*export(tmp_path)]
    assert numbers(path) == [*range(1, 41)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_file_that_was_moved_away_is_made_anew_and_one_that_was_torn_goes_on(tmp_path):
    path = tmp_path / "copy.jsonl"
    async with audit_of(tmp_path, f"file:{path}") as audit:
        await audit.append(RUN)
        path.rename(tmp_path / "copy.jsonl.1")
        await audit.append(RUN)
    assert (numbers(tmp_path / "copy.jsonl.1"), numbers(path)) == ([1], [2])
    with path.open("a") as file:
        file.write('{"seq": 3, "at')
    async with audit_of(tmp_path, f"file:{path}") as audit:
        await audit.append(RUN)
    lines = path.read_text().splitlines()
    assert (json.loads(lines[0])["seq"], lines[1], json.loads(lines[2])["seq"]) == (2, '{"seq": 3, "at', 3)


FOREIGN_ENDS = {
    "a number too high": '{"seq":5000,"mac":"00"}',
    "no number": '{"seq":"abc","mac":"00"}',
    "a number of 64 bits": '{"seq":9223372036854775808,"mac":"00"}',
    "a number of a hundred digits": f'{{"seq":{"9" * 100},"mac":"00"}}',
    "the number alone": '{"seq":2}',
    "another mac": f'{{"seq":2,"mac":"{"0" * 64}"}}',
    "no mac": '{"seq":2,"mac":"mac"}',
    "too deep": f'{{"seq":2,"mac":"00","entry":{"[" * 60_000}',
}


@pytest.mark.timeout(60)  # a start that waits for its audit is not cancelled
@pytest.mark.parametrize("end", FOREIGN_ENDS.values(), ids=FOREIGN_ENDS)
async def test_a_host_starts_on_a_copy_that_ends_with_what_is_not_in_its_audit_and_tells_it_all(tmp_path, caplog, end):
    path = tmp_path / "copy.jsonl"
    path.write_text(end + "\n")
    with chain(tmp_path / "audit") as made:
        made.append(3, at_s=1000.0)
    settings = fp.Settings(
        host="cp-1",
        state_dir=str(tmp_path),
        server=fp.ServerSettings(listen="127.0.0.1:0"),
        audit=AuditSettings(copy_to=(f"file:{path}",), copy_needed=True),
    )
    with trio.fail_after(30):
        async with fp.Diagnostics(settings):
            pass
    first, *lines = path.read_text().splitlines()
    assert (first, lines) == (end, [*export(tmp_path / "audit")])
    assert caplog.text.count("does not end with a record of this audit") == 1


async def test_an_audit_that_begins_anew_is_told_from_its_beginning_and_keeps_what_the_copy_lacks(tmp_path, caplog):
    path = tmp_path / "copy.jsonl"
    async with audit_of(tmp_path, f"file:{path}") as audit:
        for _ in range(20):
            await audit.append(RUN)
    assert "does not end" not in caplog.text
    for file in tmp_path.glob("audit.db*"):
        file.unlink()
    for _ in range(2):  # the second time it ends with a record of ours
        async with audit_of(tmp_path, f"file:{path}", copy_needed=True) as audit:
            await audit.append(RUN)
    assert numbers(path) == [*range(1, 21), 1, 2]
    assert path.read_text().splitlines()[20:] == [*export(tmp_path)]
    assert caplog.text.count("does not end with a record of this audit") == 1


def refused(_):
    raise OSError("the disk is full")


def test_a_copy_that_takes_nothing_keeps_all_records_of_an_audit_that_begins_anew(tmp_path):
    """Its number is beyond all of them, and none of them is there."""
    path = tmp_path / "copy.jsonl"
    path.write_text(FOREIGN_ENDS["a number too high"] + "\n")
    copies = Copies("cp-1", (f"file:{path}",))
    with chain(tmp_path) as made:
        made.append(2000, at_s=0.0)
        copies._followed[0].copy.write = refused
        assert copies.follow(made.store) is not None
        assert Retention(AuditSettings(max_records=1000)).trim(made.store, copies.reached) == 0


async def test_a_copy_goes_on_after_a_record_that_is_the_beginning_of_the_chain_by_now(tmp_path, caplog):
    path = tmp_path / "copy.jsonl"
    async with audit_of(tmp_path, f"file:{path}") as audit:
        for _ in range(20):
            await audit.append(RUN)
    with chain(tmp_path) as made:
        made.store.forget_until(20)
    async with audit_of(tmp_path, f"file:{path}") as audit:
        await audit.append(RUN)
    assert numbers(path) == [*range(1, 22)]
    assert "does not end" not in caplog.text


@pytest.mark.timeout(60)  # who waits for a record is not cancelled
async def test_a_time_altered_in_the_running_audit_ends_neither_the_thread_nor_the_wait(tmp_path):
    """It is of no year that syslog could be told."""
    async with audit_of(tmp_path, f"syslog:{tmp_path}/log") as audit:
        record = await audit.append(RUN)  # nobody listens, so it is still to be told
        with closing(sqlite3.connect(tmp_path / "audit.db")) as connection, connection:
            content = canonical(record).replace(b"%d" % record.at_ns, b"1" + b"0" * 30)
            connection.execute("UPDATE record SET content = ?", (content,))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(str(tmp_path / "log"))
            for seq in (2, 3):
                assert (await audit.append(RUN)).seq == seq
        assert audit.use.copy_failures >= 3
    report = verify(tmp_path)
    assert (report.verdict, report.at) == (Verdict.ALTERED, 1)


async def test_a_copy_that_was_away_has_no_gap_when_it_is_back(tmp_path):
    folder = tmp_path / "mounted"
    path = folder / "copy.jsonl"
    async with audit_of(tmp_path, f"file:{path}") as audit:
        for _ in range(5):
            await audit.append(RUN)  # it is durable here, so it counts
        assert audit.use.copy_failures >= 5
        folder.mkdir()
        with trio.fail_after(20):
            while not path.exists():
                await trio.sleep(0.05)
        await audit.append(RUN)
    assert numbers(path) == [*range(1, 7)]


async def test_without_a_copy_that_is_needed_no_harm_begins_and_all_stopping_goes_on(tmp_path):
    folder = tmp_path / "mounted"
    async with audit_of(tmp_path, f"file:{folder}/copy.jsonl", copy_needed=True) as audit:
        with pytest.raises(AuditError, match="the audit's copy takes nothing"):
            await audit.append(RUN)
        audit.note(RUN)
        folder.mkdir()
        with trio.fail_after(20):
            while audit.use.records < 2 or not (folder / "copy.jsonl").exists():
                await trio.sleep(0.05)
        await audit.append(RUN)
    assert numbers(folder / "copy.jsonl") == [1, 2, 3]
    assert verify(tmp_path).verdict is Verdict.INTACT


@pytest.mark.parametrize("family", ["unix", "udp"])
async def test_syslog_gets_a_message_of_rfc_5424_for_each_record(tmp_path, family):
    unix = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX if family == "unix" else socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(unix if family == "unix" else ("127.0.0.1", 0))
        receiver.settimeout(20)
        where = unix if family == "unix" else f"udp:127.0.0.1:{receiver.getsockname()[1]}"
        async with audit_of(tmp_path, f"syslog:{where}") as audit:
            await audit.append(RUN)
            text = receiver.recv(65536).decode()
    head, _, body = text.partition(" - ")
    priority, at, host, app, _, kind = head.split(" ")
    assert (priority, host, app, kind) == ("<109>1", "cp-1", "fastprobe", "audit")
    assert at.endswith("Z")
    assert json.loads(body)["entry"]["actor"] == "anna"


async def test_a_syslog_that_is_not_there_is_told_once_and_counted(tmp_path, caplog):
    async with audit_of(tmp_path, f"syslog:{tmp_path}/nobody") as audit:
        for _ in range(3):
            await audit.append(RUN)
        assert audit.use.copy_failures >= 3
    assert caplog.text.count("the audit's copy takes nothing") == 1


# -- retention ---------------------------------------------------------------------------------------------------------------


class Chain:
    """A store, written to directly, with records of whatever age."""

    def __init__(self, directory):
        directory.mkdir(exist_ok=True)
        self.store = AuditStore(directory)

    def append(self, n, at_s):
        rows, seq, mac = [], self.store.head.seq, self.store.head.mac
        for _ in range(n):
            seq += 1
            content = canonical(Record(seq, int(at_s * 1e9), 0, "b", False, RUN))
            mac = link(self.store.key, mac, content)
            rows.append((seq, content, mac))
        self.store.append(rows)


@contextmanager
def chain(directory):
    made = Chain(directory)
    try:
        yield made
    finally:
        made.store.close()


def test_old_records_go_behind_a_signed_checkpoint_and_the_rest_stays_provable(tmp_path):
    with chain(tmp_path) as made:
        made.append(10, at_s=1000.0)
        made.append(5, at_s=9000.0)
        assert Retention(AuditSettings(keep_s=3600.0)).trim(made.store, None, now_s=10_000.0) == 10
        made.append(3, at_s=9500.0)
    report = verify(tmp_path)
    assert (report.verdict, report.records, report.head.seq) == (Verdict.INTACT, 8, 18)


def test_no_more_are_kept_than_asked_for_but_what_a_copy_lacks_stays(tmp_path):
    with chain(tmp_path) as made:
        made.append(3000, at_s=0.0)
        retention = Retention(AuditSettings(max_records=1000))
        assert retention.trim(made.store, 500) == 500
        retention._next_s = 0.0
        assert retention.trim(made.store, 3000) == 1500
        retention._next_s = 0.0
        assert retention.trim(made.store, 3000) == 0


def test_a_long_backlog_goes_a_piece_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(audit_retention, "AT_ONCE", 100)
    with chain(tmp_path) as made:
        made.append(250, at_s=0.0)
        retention = Retention(AuditSettings(keep_s=3600.0))
        assert [retention.trim(made.store, None, now_s=1e6) for _ in range(4)] == [100, 100, 50, 0]


async def test_the_running_audit_lets_go_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(audit_retention, "EVERY_S", 0.05)
    with chain(tmp_path) as made:
        made.append(500, at_s=time.time() - 10_000)
    async with audit_of(tmp_path, keep_s=3600.0) as audit:
        with trio.fail_after(20):
            while (await audit.newest(None, 1000, {}))[0]:
                await trio.sleep(0.02)
        record = await audit.append(RUN)
    assert record.seq == 501
    assert verify(tmp_path).verdict is Verdict.INTACT


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_appended_dropped_and_reopened_the_chain_is_intact_and_any_damage_is_found(tmp_path, seed):
    dice = random.Random(seed)
    for _ in range(4):
        with chain(tmp_path) as made:
            for _ in range(6):
                made.append(dice.randrange(1, 400), at_s=0.0)
                if dice.random() < 0.4:
                    made.store.forget_until(dice.randrange(1, made.store.head.seq + 1))
    report = verify(tmp_path)
    assert report.verdict is Verdict.INTACT
    if report.records < 4:
        return
    heads = [report.head]
    with sqlite3.connect(tmp_path / "audit.db") as connection:
        first, last = connection.execute("SELECT min(seq), max(seq) FROM record").fetchone()
    connection.close()
    at = dice.randrange(first, last)
    damages = {
        "a bit": ("UPDATE record SET content = CAST(? || substr(content, 2) AS BLOB) WHERE seq = ?", (b"x", at)),
        "a record": ("DELETE FROM record WHERE seq = ?", (at,)),
        "the beginning": ("DELETE FROM record WHERE seq = ?", (first,)),
        "the tail": ("DELETE FROM record WHERE seq > ?", (at,)),
        "a copy put back": (
            "UPDATE record SET content = (SELECT content FROM record WHERE seq = ?) WHERE seq = ?",
            (at, at + 1),
        ),
        "a checkpoint": ("UPDATE checkpoint SET mac = zeroblob(32)", ()),
    }
    for what, (statement, values) in damages.items():
        hurt = tmp_path / what.replace(" ", "-")
        hurt.mkdir()
        for name in ("audit.db", "audit.key", "audit-signing.key"):
            shutil.copy(tmp_path / name, hurt)
        with sqlite3.connect(hurt / "audit.db") as connection:
            connection.execute(statement, values)
        connection.close()
        assert verify(hurt, heads).verdict is not Verdict.INTACT, what


# -- a disk that fails -------------------------------------------------------------------------------------------------------

ON_A_BAD_DISK = """
    import sys, trio
    from pathlib import Path
    from meshkit_fastprobe.errors import AuditError
    from meshkit_fastprobe.security.audit import Audit
    from meshkit_fastprobe.security.audit_chain import Entry

    def told(action):
        return Entry(actor="anna", action=action, result="allowed")

    async def main(directory, switch):
        async with Audit(directory, boot_id="b") as audit:
            await audit.append(told("before"))
            switch.touch()
            try:
                await audit.append(told("harm"))
            except AuditError as error:
                print("refused:", error)
            audit.note(told("stop"))
            with trio.fail_after(30):
                while not audit.late:
                    await trio.sleep(0.02)
            switch.unlink()
            with trio.fail_after(30):
                while audit.late:
                    await trio.sleep(0.02)
            await audit.append(told("after"))

    trio.run(main, Path(sys.argv[2]), Path(sys.argv[1]))
"""


@needs_a_compiler
def test_on_a_disk_with_input_output_errors_harm_is_refused_and_a_stop_is_written_late(tmp_path):
    directory = tmp_path / "audit"
    directory.mkdir()
    done = run_on_bad_disk(tmp_path, ON_A_BAD_DISK, directory)
    assert done.returncode == 0, done.stderr
    assert "refused:" in done.stdout
    assert "disk I/O error" in done.stdout
    records = [msgspec.json.decode(line) for line in export(directory)]
    assert [(record["entry"]["action"], record["late"]) for record in records] == [
        ("before", False),
        ("stop", True),
        ("after", False),
    ]
    assert verify(directory).verdict is Verdict.INTACT
