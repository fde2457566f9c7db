"""The .proto files, the descriptors made of them, and the payloads that fill them: all three say the same."""

from __future__ import annotations

import re
from contextlib import suppress

import msgspec
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.server import chaos_items, envelope, history_items, peers, reports, telling
from meshkit_fastprobe.server.bodies import MAX_BYTES
from meshkit_fastprobe.server.grpc import messages
from meshkit_fastprobe.server.grpc.framing import Frames, framed
from meshkit_fastprobe.server.grpc.methods import all_methods
from meshkit_fastprobe.server.grpc.resources import PATHS, SERVICE
from meshkit_fastprobe.server.grpc.status import CallError, Code, timeout_s, trailers_of
from meshkit_fastprobe.server.routes import ROUTES
from tools.compile_protos import HERE, compiled

MESSAGES = {
    envelope.ProbeItem: "Probe",
    envelope.RecentItem: "RecentResult",
    reports.ReportItem: "RunReport",
    reports.PhasesItem: "Phases",
    reports.ExplanationItem: "Explanation",
    envelope.GroupItem: "Group",
    peers.HostItem: "FleetHost",
    envelope.AuditItem: "AuditRecord",
    envelope.ToggleItem: "Toggle",
    envelope.ReloadItem: "Reload",
    chaos_items.BackingItem: "Backing",
    chaos_items.WayItem: "Way",
    chaos_items.FaultItem: "Fault",
    chaos_items.PlanItem: "Plan",
    chaos_items.MoveOfRun: "Move",
    chaos_items.EffectItem: "Effect",
    chaos_items.MeasureItem: "Measure",
    chaos_items.RunItem: "Run",
    chaos_items.ConfirmationItem: "Confirmation",
    chaos_items.ExperimentItem: "Experiment",
    chaos_items.HaltItem: "Halt",
    chaos_items.ObjectItem: "MarkedObject",
    chaos_items.ReceiptItem: "Receipt",
    history_items.HistoryItem: "History",
    history_items.GapItem: "TimeGap",
    history_items.UpkeepItem: "Upkeep",
    history_items.PastItem: "Past",
    history_items.OffenderItem: "Offender",
    history_items.ProbePastItem: "ProbePast",
    history_items.StepItem: "ProbeStep",
    history_items.ChangeItem: "ProbeChange",
    telling.TransitionItem: "Transition",
    telling.HeadItem: "AuditHead",
    telling.MoveItem: "RunMoved",
}


def test_the_descriptors_are_those_of_the_proto_files():
    checked_in = FileDescriptorSet.FromString((HERE / messages.DESCRIPTORS).read_bytes())
    assert checked_in == FileDescriptorSet.FromString(compiled()), "run: python tools/compile_protos.py"


@pytest.mark.parametrize(("item", "message"), MESSAGES.items(), ids=lambda one: getattr(one, "__name__", one))
def test_a_message_has_every_field_of_its_payload_and_no_other(item, message):
    fields = messages.message_class(f"meshkit.diagnostics.v1.{message}").DESCRIPTOR.fields
    assert {field.json_name for field in fields} == {field.encode_name for field in msgspec.structs.fields(item)}


def test_every_item_of_a_route_has_a_message():
    assert {spec.item for spec in ROUTES if spec.item is not None} <= MESSAGES.keys()


def test_every_resource_of_the_table_is_a_method_and_takes_what_its_route_takes():
    assert {(spec.method, spec.path) for spec in ROUTES if spec.item is not None or spec.path == "/events"} == {*PATHS.values()}
    table = {(spec.method, spec.path): spec for spec in ROUTES}
    for method in messages.service(SERVICE).methods:
        spec = table[PATHS[method.name]]
        takes = {field.name for field in method.input_type.fields}
        needed = {parameter.name for parameter in spec.query} | ({"name"} if "{name}" in spec.path else set())
        needed |= {"version", "any_version"} if spec.versioned else set()
        assert needed <= takes, method.name
        if spec.body is not None and "definition" not in takes:
            assert takes - needed == {field.name for field in msgspec.structs.fields(spec.body)}, method.name


def test_the_comments_of_the_service_name_the_routes_of_its_methods():
    text = (HERE / "protos/meshkit/diagnostics/v1/diagnostics.proto").read_text()
    told = dict(re.findall(r"rpc (\w+)\(.*// (\w+ /\S+)", text))
    assert told == {name: " ".join(path) for name, path in PATHS.items()}


def test_a_method_reads_exactly_when_its_route_is_a_get():
    for name, (verb, _) in PATHS.items():
        assert all_methods()[f"/{SERVICE}/{name}"].reads is (verb == "GET")


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 50), min_size=1))
def test_frames_come_out_as_they_went_in_however_they_are_cut(contents, cuts):
    data, frames, found = b"".join(map(framed, contents)), Frames("identity"), []
    at = 0
    while at < len(data):
        size = cuts[at % len(cuts)]
        frames.take(data[at : at + size])
        at += size
        while (message := frames.next()) is not None:
            found.append(message)
    assert found == contents
    assert frames.waiting == 0


@given(st.binary(max_size=200), st.sampled_from(["identity", "gzip"]))
def test_any_bytes_are_messages_or_refused(data, encoding):
    frames = Frames(encoding)
    frames.take(data)
    with suppress(CallError):  # and nothing else
        while frames.next() is not None:
            pass


def test_a_frame_above_the_bound_is_refused_before_it_is_here():
    frames = Frames("identity")
    frames.take(b"\0" + (MAX_BYTES + 1).to_bytes(4))
    with pytest.raises(CallError, match="the bound"):
        frames.next()


@pytest.mark.parametrize(("text", "seconds"), [(b"1H", 3600.0), (b"100m", 0.1), (b"99999999S", 99_999_999.0), (b"5u", 5e-6)])
def test_a_timeout_is_read_in_every_unit(text, seconds):
    assert timeout_s([text]) == pytest.approx(seconds)


@pytest.mark.parametrize("text", [b"", b"1", b"m", b"-1S", b"1.5S", b"123456789S", b"1X", b"1S "])
def test_what_is_no_timeout_is_refused(text):
    with pytest.raises(CallError, match="no time"):
        timeout_s([text])


@given(st.text(max_size=2000))
def test_a_message_is_a_legal_header_whatever_it_says(text):
    trailers = dict(trailers_of(Code.INTERNAL, text, {"meshkit-hint": text}))
    for value in trailers.values():
        assert all(0x20 <= byte < 0x7F for byte in value)
