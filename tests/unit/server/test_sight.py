"""What somebody is shown of probes and events is what the policy says of each, whatever the bindings."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from meshkit_fastprobe import Diagnostics, Settings
from meshkit_fastprobe.access import Binding, Permission, Scope, SecuritySettings
from meshkit_fastprobe.security.denials import Denials
from meshkit_fastprobe.security.gate import Gate
from meshkit_fastprobe.security.policy import Principal, Resource
from meshkit_fastprobe.server.authorization import Authorization
from meshkit_fastprobe.server.events import Event, Wanted
from meshkit_fastprobe.server.grpc.health import SERVICE_UNKNOWN, UNKNOWN, Statuses
from meshkit_fastprobe.server.routes.events import _Views

READ = Permission.PROBES_READ
globs = st.sampled_from(["*", "*", "cp-1", "cp-2", "a", "b", "a*"])
bindings = st.lists(
    st.builds(
        Binding,
        subject=st.sampled_from(["user:m", "group:all"]),
        role=st.sampled_from(["viewer", "operator", "chaos-operator"]),
        scope=st.builds(Scope, host=globs, cluster=globs, namespace=globs, probe=globs, fault=globs),
        deny=st.booleans(),
    ),
    min_size=1,
    max_size=4,
).map(tuple)
M = Principal("m", ("all",))


def host() -> Diagnostics:
    diag = Diagnostics(Settings(host="cp-1"))

    async def check() -> None: ...

    for cluster in "ab":
        for namespace in "ab":
            for name in "ab":
                diag.add(check, name=f"{name}-{cluster}{namespace}", cluster=cluster, namespace=namespace, interval="1h")
    return diag


@settings(deadline=None)
@given(bindings)
def test_a_listing_shows_what_may_be_read_one_by_one(given_to):
    diag = host()
    authorization = Authorization(diag, Gate(SecuritySettings(bindings=given_to)), Denials(lambda _: None))
    snapshot = diag.snapshot()

    async def visible():
        return await authorization.visible(M, snapshot)

    shown = trio.run(visible)
    shown = np.ones(len(snapshot), np.bool_) if shown is None else shown
    policy = authorization._gate.policy
    for row, registration in enumerate(snapshot.directory.registrations):
        options = registration.options
        resource = Resource(host="cp-1", cluster=options.cluster, namespace=options.namespace, probe=registration.name)
        assert bool(shown[row]) == policy.decide(M, READ, resource).allowed, registration.name
    if authorization.sight(M) is None:
        assert shown.all()
    if shown.any():
        assert policy.holds_anywhere(M, READ)


@settings(deadline=None)
@given(bindings, st.lists(st.tuples(*[st.sampled_from("ab")] * 3), max_size=8))
def test_a_stream_shows_each_event_as_it_is_decided(given_to, resources):
    gate = Gate(SecuritySettings(bindings=given_to))
    request = SimpleNamespace(principal=M, proven=True)

    async def shows():
        return _Views(gate, request, Wanted())().shows

    sees = trio.run(shows)
    for cluster, namespace, fault in resources:
        resource = Resource(host="cp-1", cluster=cluster, namespace=namespace, fault=fault)
        event = Event("chaos", Permission.CHAOS_READ, resource, fault, b"")
        assert sees(event) == gate.policy.decide(M, Permission.CHAOS_READ, resource).allowed


def test_who_is_denied_everything_may_not_even_ask():
    gate = Gate(SecuritySettings(bindings=(Binding("group:all", "viewer"), Binding("user:m", "viewer", deny=True))))
    assert not gate.allows_anywhere(M, READ)
    assert gate.allows_anywhere(Principal("n", ("all",)), READ)


@pytest.mark.parametrize(
    ("names", "deny", "status"),
    [("b-*", False, UNKNOWN), ("c-*", False, SERVICE_UNKNOWN), ("a-*", True, UNKNOWN), ("?-*", True, SERVICE_UNKNOWN)],
)
def test_the_health_of_a_group_is_that_of_what_may_be_seen_of_it(names, deny, status):
    everything = (Binding("user:m", "viewer"),) if deny else ()
    diag = host()
    gate = Gate(SecuritySettings(bindings=(*everything, Binding("user:m", "viewer", scope=Scope(probe=names), deny=deny))))
    context = SimpleNamespace(
        host=diag,
        authorization=Authorization(diag, gate, Denials(lambda _: None)),
        listings=SimpleNamespace(recent=functools.cache(diag.snapshot)),
    )
    statuses = Statuses()
    for service, told in (("a/b", status), ("a/nowhere", SERVICE_UNKNOWN), ("a", SERVICE_UNKNOWN), ("a/b", status)):
        assert trio.run(statuses.of, context, M, service) == told
