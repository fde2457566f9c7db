from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trio

from meshkit_fastprobe.access import AuditSettings
from meshkit_fastprobe.errors import AuditError
from meshkit_fastprobe.security.audit import Audit
from meshkit_fastprobe.security.audit_chain import Entry, Head, Verdict
from meshkit_fastprobe.security.audit_copies import Copies
from meshkit_fastprobe.security.audit_retention import Retention
from meshkit_fastprobe.security.audit_store import CHECKPOINT_EVERY, AuditStore, export, verify

RUN = Entry(actor="anna", action="probes.run", scope="orders-db", result="done", reason="looks slow", ticket="OPS-1")


async def keep(directory: Path, n: int) -> Head:
    async with Audit(directory, boot_id="boot") as audit, trio.open_nursery() as nursery:
        for _ in range(n):
            nursery.start_soon(audit.append, RUN)
    return audit.head


def damage(directory: Path, statement: str) -> None:
    with sqlite3.connect(directory / "audit.db") as connection:
        connection.execute(statement)
    connection.close()


async def test_who_waited_has_a_durable_record_and_the_chain_goes_on_after_a_restart(tmp_path):
    async with Audit(tmp_path, boot_id="boot-1") as audit:
        first = await audit.append(RUN)
    async with Audit(tmp_path, boot_id="boot-2") as audit:
        second = await audit.append(RUN)
    assert (first.seq, second.seq) == (1, 2)
    assert (first.boot_id, second.boot_id) == ("boot-1", "boot-2")
    assert first.entry == RUN
    report = verify(tmp_path)
    assert (report.verdict, report.records, report.head) == (Verdict.INTACT, 2, audit.head)


async def test_files_are_for_their_owner_alone(tmp_path):
    await keep(tmp_path, 1)
    for name in ("audit.db", "audit.key", "audit-signing.key", "audit.lock"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name


async def test_those_who_wait_together_are_written_together(tmp_path):
    heads: list[Head] = []
    async with Audit(tmp_path, boot_id="boot", on_head=heads.append) as audit, trio.open_nursery() as nursery:
        for _ in range(2000):
            nursery.start_soon(audit.append, RUN)
    assert heads[-1] == audit.head
    assert audit.head.seq == 2000
    assert len(heads) < 200
    assert verify(tmp_path, heads).verdict is Verdict.INTACT


@pytest.mark.parametrize(
    ("statement", "verdict", "at"),
    [
        ("UPDATE record SET content = CAST(replace(content, 'anna', 'bert') AS BLOB) WHERE seq = 700", Verdict.ALTERED, 700),
        ("DELETE FROM record WHERE seq = 700", Verdict.MISSING, 700),
        ("DELETE FROM record WHERE seq > 1500", Verdict.TRUNCATED, 1501),
        ("UPDATE record SET content = (SELECT content FROM record WHERE seq = 9) WHERE seq = 10", Verdict.ALTERED, 10),
        ("UPDATE checkpoint SET seq = 1999 WHERE seq = 2000", Verdict.ALTERED, 1999),
        ("UPDATE checkpoint SET seq = -1 WHERE seq = 2000", Verdict.ALTERED, -1),
    ],
)
async def test_damage_is_named_and_placed(tmp_path, statement: str, verdict: Verdict, at: int):
    await keep(tmp_path, 2000)
    damage(tmp_path, statement)
    report = verify(tmp_path)
    assert (report.verdict, report.at) == (verdict, at)
    assert report.why


async def test_no_checkpoint_is_made_the_beginning_by_who_takes_the_records_before_it(tmp_path):
    await keep(tmp_path, 2000)
    damage(tmp_path, "UPDATE checkpoint SET begins = 1 WHERE seq = (SELECT min(seq) FROM checkpoint)")
    damage(tmp_path, "DELETE FROM record WHERE seq <= (SELECT min(seq) FROM checkpoint)")
    report = verify(tmp_path)
    assert (report.verdict, report.why) == (Verdict.ALTERED, "the signature of its checkpoint is wrong")


async def test_an_older_copy_put_back_is_found_by_the_head_somebody_kept(tmp_path):
    await keep(tmp_path, 10)
    shutil.copy(tmp_path / "audit.db", tmp_path / "old")
    head = await keep(tmp_path, 10)
    shutil.copy(tmp_path / "old", tmp_path / "audit.db")
    assert verify(tmp_path).verdict is Verdict.INTACT
    assert verify(tmp_path, [head]).verdict is Verdict.TRUNCATED


async def test_a_history_written_and_signed_anew_with_the_keys_is_found_by_the_head_somebody_kept(tmp_path):
    head = await keep(tmp_path, 10)
    damage(tmp_path, "DELETE FROM record")
    damage(tmp_path, "DELETE FROM checkpoint")
    await keep(tmp_path, 10)
    assert verify(tmp_path).verdict is Verdict.INTACT
    report = verify(tmp_path, [head])
    assert (report.verdict, report.at) == (Verdict.ALTERED, 10)
    assert report.why == "two heads were vouched for in this place"


async def test_a_database_that_was_torn_says_so(tmp_path):
    await keep(tmp_path, 2 * CHECKPOINT_EVERY)
    size = (tmp_path / "audit.db").stat().st_size
    os.truncate(tmp_path / "audit.db", size // 2)
    assert verify(tmp_path).verdict is Verdict.TORN


async def test_a_hole_in_the_database_is_placed(tmp_path):
    await keep(tmp_path, 2000)
    page = 4096
    content = bytearray((tmp_path / "audit.db").read_bytes())
    middle = len(content) // page // 2 * page
    content[middle : middle + page] = bytes(page)
    (tmp_path / "audit.db").write_bytes(content)
    report = verify(tmp_path)
    assert report.verdict is Verdict.TORN
    assert 100 < report.records < 1900
    assert report.at == report.records + 1
    assert "from here on" in report.why


async def test_what_was_torn_is_not_written_on(tmp_path):
    await keep(tmp_path, 100)
    (tmp_path / "audit.db").write_bytes((tmp_path / "audit.db").read_bytes()[:4096] + bytes(8192))
    for _ in range(2):  # the first try leaves nothing locked
        with pytest.raises(AuditError, match="audit verify"):
            async with Audit(tmp_path, boot_id="boot"):
                raise AssertionError("a record behind a hole")
    with pytest.raises(AuditError, match="cannot be read"):
        list(export(tmp_path))


async def test_what_was_forgotten_leaves_a_chain_that_is_still_proven(tmp_path):
    await keep(tmp_path, 100)
    store = AuditStore(tmp_path)
    assert store.forget_until(60) == 60
    store.close()
    report = verify(tmp_path)
    assert (report.verdict, report.records) == (Verdict.INTACT, 40)
    damage(tmp_path, "DELETE FROM record WHERE seq = 61")
    assert verify(tmp_path).verdict is Verdict.MISSING
    head = await keep(tmp_path, 1)
    assert head.seq == 101


async def test_heads_before_the_beginning_are_named_since_nothing_is_left_to_compare_them_with(tmp_path):
    heads = [await keep(tmp_path, 10) for _ in range(3)]
    store = AuditStore(tmp_path)
    store.forget_until(25)
    store.close()
    report = verify(tmp_path, heads)
    assert (report.verdict, report.records) == (Verdict.INTACT, 5)
    assert report.why == "not compared with what was vouched for at 10, 20: this chain begins after record 25"
    assert verify(tmp_path, heads[2:]).why == ""
    damage(tmp_path, "DELETE FROM record WHERE seq = 27")
    report = verify(tmp_path, heads[:1])
    assert (report.verdict, report.at) == (Verdict.MISSING, 27)
    assert report.why.endswith("not compared with what was vouched for at 10: this chain begins after record 25")


async def test_where_all_was_forgotten_the_chain_begins_there_also_after_a_clean_end(tmp_path):
    await keep(tmp_path, 100)
    store = AuditStore(tmp_path)
    assert store.forget_until(100) == 100
    store.close()
    report = verify(tmp_path)
    assert (report.verdict, report.records, report.head.seq) == (Verdict.INTACT, 0, 100)
    await keep(tmp_path, 1)
    assert verify(tmp_path).verdict is Verdict.INTACT


@pytest.mark.parametrize("settings", [{}, {"keep_s": 3600.0}, {"copy": True}], ids=["bare", "retention", "a copy"])
async def test_records_that_nobody_here_wrote_stop_neither_the_start_nor_the_writing(tmp_path, settings):
    await keep(tmp_path, 3)
    damage(tmp_path, "UPDATE record SET content = x'ff7b' WHERE seq = 1")
    copy = (f"file:{tmp_path}/copy.jsonl",) if settings.pop("copy", False) else ()
    with trio.fail_after(30):
        async with Audit(tmp_path, boot_id="b", settings=AuditSettings(copy_to=copy, **settings)) as audit:
            assert (await audit.append(RUN)).seq == 4
            with pytest.raises(AuditError, match="nobody here wrote"):
                await audit.newest(None, 10, {})
            with pytest.raises(AuditError, match="cannot be read"):
                await audit.newest(None, 10, {"actor": "anna"})
            assert (await audit.append(RUN)).seq == 5
    assert (verify(tmp_path).verdict, verify(tmp_path).at) == (Verdict.ALTERED, 1)


async def test_a_question_that_the_database_cannot_take_is_answered_and_the_next_record_written(tmp_path):
    with trio.fail_after(30):
        async with Audit(tmp_path, boot_id="b") as audit:
            with pytest.raises(AuditError, match="cannot be read"):
                await audit.newest(-(10**30), 10, {})
            assert (await audit.append(RUN)).seq == 1


def failing_once(what):
    """The method, but its first call fails as nobody foresaw."""
    calls = []

    def method(*args):
        calls.append(args)
        if len(calls) == 1:
            raise RuntimeError("nobody foresaw this")
        return what(*args)

    return method


@pytest.mark.timeout(60)  # who waits for a record is not cancelled
@pytest.mark.parametrize("where", ["_commit", "_answer"])
async def test_whatever_fails_in_the_thread_who_waits_is_answered_and_the_next_record_written(tmp_path, monkeypatch, where):
    monkeypatch.setattr(Audit, where, failing_once(getattr(Audit, where)))
    async with Audit(tmp_path, boot_id="b") as audit:
        audit.note(RUN)
        with pytest.raises(AuditError, match="nobody foresaw this"):
            await (audit.append(RUN) if where == "_commit" else audit.newest(None, 10, {}))
        assert (await audit.append(RUN)).entry == RUN
        with trio.fail_after(20):
            while audit.late:
                await trio.sleep(0.01)
        assert audit.use.failures == 1
        assert audit.head.seq == 2  # the note, once
    assert verify(tmp_path).verdict is Verdict.INTACT


@pytest.mark.timeout(60)
@pytest.mark.parametrize("where", [Retention, Copies], ids=["retention", "copies"])
async def test_what_fails_after_the_record_is_stored_takes_nothing_back(tmp_path, monkeypatch, where):
    method = "trim" if where is Retention else "retry_due"
    monkeypatch.setattr(where, method, failing_once(getattr(where, method)))
    async with Audit(tmp_path, boot_id="b") as audit:
        audit.note(RUN)
        assert (await audit.append(RUN)).entry == RUN
        assert (await audit.append(RUN)).entry == RUN
    assert (verify(tmp_path).verdict, audit.head.seq) == (Verdict.INTACT, 3)


@pytest.mark.timeout(60)  # opening is not cancelled
@pytest.mark.parametrize("where", [AuditStore, Copies], ids=["store", "copies"])
async def test_a_start_that_fails_as_nobody_foresaw_says_so_and_leaves_nothing_locked(tmp_path, monkeypatch, where):
    method = "_connect" if where is AuditStore else "follow"
    monkeypatch.setattr(where, method, failing_once(getattr(where, method)))
    with pytest.raises(AuditError, match="nobody foresaw this"):
        async with Audit(tmp_path, boot_id="b"):
            raise AssertionError("opened")
    await keep(tmp_path, 1)


async def test_an_entry_that_cannot_be_written_refuses_its_deed_alone(tmp_path):
    with trio.fail_after(30):
        async with Audit(tmp_path, boot_id="b") as audit:
            with pytest.raises(AuditError, match="UnicodeEncodeError"):
                await audit.append(Entry(actor="\ud800", action="probes.run", result="done"))
            assert (await audit.append(RUN)).seq == 1


async def test_a_start_that_was_killed_before_the_tables_stood_is_made_good(tmp_path):
    (tmp_path / "audit.db").touch()
    await keep(tmp_path, 3)
    assert verify(tmp_path).records == 3


async def test_a_second_writer_is_refused(tmp_path):
    async with Audit(tmp_path, boot_id="boot"):
        with pytest.raises(AuditError, match="another process writes this audit"):
            async with Audit(tmp_path, boot_id="boot"):
                raise AssertionError("two writers")


FULL_DISK = """
    import subprocess, sys
    from pathlib import Path
    import trio
    from meshkit_fastprobe.errors import AuditError
    from meshkit_fastprobe.security.audit import Audit
    from meshkit_fastprobe.security.audit_chain import Entry, Verdict
    from meshkit_fastprobe.security.audit_store import verify

    place = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={sys.argv[2]}", "tmpfs", str(place)], check=True)

    async def main():
        async with Audit(place, boot_id="boot") as audit:
            written = 0
            try:
                while True:
                    await audit.append(Entry(actor="anna", action="chaos.activate", result="intent", detail="x" * 2000))
                    written += 1
            except AuditError as error:
                assert "full" in str(error), error
            assert audit.head.seq == written
            audit.note(Entry(actor="anna", action="chaos.halt", result="done", detail="x" * 4000))
            with trio.fail_after(20):
                while not audit.late:
                    await trio.sleep(0.01)
                assert (audit.use.late, audit.use.lost) == (1, 0)
                assert audit.use.failures >= 2  # the record, and the note
                subprocess.run(["mount", "-o", "remount,size=1m", str(place)], check=True)
                while audit.late:
                    await trio.sleep(0.05)
            record = await audit.append(Entry(actor="anna", action="chaos.activate", result="intent"))
            assert record.seq == written + 2
        report = verify(place, [audit.head])
        assert (report.verdict, report.records) == (Verdict.INTACT, written + 2), report
        print("intact")

    trio.run(main)
"""


@pytest.mark.parametrize("size", ["64k", "128k"])
def test_a_full_disk_refuses_what_starts_and_keeps_what_stops_for_later(tmp_path, size):
    """On a tmpfs in a namespace of its own."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    program = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path), size]
    ended = subprocess.run([*unshare, *program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "intact\n", ended.stderr


KILLED = """
    import sys
    from pathlib import Path
    import trio
    from meshkit_fastprobe.security.audit import Audit
    from meshkit_fastprobe.security.audit_chain import Entry

    async def act(audit):
        while True:
            record = await audit.append(Entry(actor="anna", action="probes.run", result="done"))
            print(record.seq, flush=True)

    async def main():
        async with Audit(Path(sys.argv[1]), boot_id="boot") as audit, trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(act, audit)

    trio.run(main)
"""


def test_kill_in_mid_commit_loses_nothing_acknowledged(tmp_path):
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(300)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    report = verify(tmp_path)
    assert report.verdict is Verdict.INTACT
    assert report.records >= max(acknowledged)
