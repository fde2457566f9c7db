from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.access import MESH_GRANTS, ROLES, Binding, Permission, Scope
from meshkit_fastprobe.security.policy import LOCAL_PRINCIPAL, MAX_REMEMBERED, Policy, Principal, Resource

ANNA = Principal("anna", ("sre",))
ORDERS = Resource(host="cp-1", cluster="eu-1", namespace="orders", probe="orders-db")
READ = Permission.PROBES_READ


def allowed(bindings: list[Binding], permission: Permission = READ, resource: Resource = ORDERS) -> bool:
    return Policy(bindings).decide(ANNA, permission, resource).allowed


def test_what_nobody_allowed_is_denied():
    assert Policy([]).decide(ANNA, READ, ORDERS).binding is None
    assert not allowed([])
    assert not allowed([Binding("user:bert", "admin")])


@pytest.mark.parametrize("subject", ["user:anna", "group:sre", "user:an*"])
def test_a_binding_reaches_its_subject_by_name_group_and_glob(subject: str):
    assert allowed([Binding(subject, "viewer")])
    assert not allowed([Binding(subject, "viewer")], Permission.PROBES_WRITE)


def test_a_name_is_not_a_group():
    assert not allowed([Binding("user:sre", "viewer"), Binding("group:anna", "viewer")])


def test_nobody_becomes_the_local_user_by_a_name():
    bindings = [Binding("local", "admin")]
    assert Policy(bindings).decide(LOCAL_PRINCIPAL, READ, ORDERS).allowed
    for stranger in (Principal("local"), Principal("", ("local",)), Principal("user:local")):
        assert not Policy(bindings).decide(stranger, READ, ORDERS).allowed
    assert not Policy([Binding("user:*", "admin")]).decide(LOCAL_PRINCIPAL, READ, ORDERS).allowed


def test_axes_tell_what_decisions_depend_on():
    bindings = [
        Binding("user:anna", "viewer", scope=Scope(namespace="orders")),
        Binding("group:sre", permissions=(READ,), scope=Scope(probe="secret-*"), deny=True),
        Binding("user:bert", "viewer", scope=Scope(cluster="eu-1")),
    ]
    assert Policy(bindings).axes(ANNA, READ) == {"namespace", "probe"}
    assert Policy(bindings).axes(ANNA, Permission.CHAOS_READ) == {"namespace"}
    assert Policy(bindings).axes(Principal("bert"), READ) == {"cluster"}
    assert Policy([]).axes(ANNA, READ) == set()


def test_deny_beats_allow_in_whatever_order():
    allow, deny = Binding("user:anna", "admin"), Binding("group:sre", permissions=(READ,), deny=True)
    for bindings in ([allow, deny], [deny, allow]):
        decision = Policy(bindings).decide(ANNA, READ, ORDERS)
        assert not decision.allowed
        assert decision.binding == deny
    assert allowed([allow, deny], Permission.PROBES_RUN)


def test_all_axes_of_a_scope_have_to_match():
    within = Binding("user:anna", "viewer", scope=Scope(cluster="eu-*", namespace="orders"))
    assert allowed([within])
    assert not allowed([within], resource=msgspec.structs.replace(ORDERS, namespace="payments"))
    assert not allowed([within], resource=msgspec.structs.replace(ORDERS, cluster="us-1"))


def test_who_may_act_may_stop():
    for role in ("operator", "chaos-operator", "chaos-approver", "admin"):
        assert ROLES[role] >= {Permission.CHAOS_STOP, Permission.CHAOS_HALT}


def test_no_role_may_target_everything():
    assert not any(Permission.CHAOS_ANY_TARGET in permissions for permissions in ROLES.values())


def test_whoever_activates_does_not_approve():
    assert not {Permission.CHAOS_ACTIVATE, Permission.CHAOS_APPROVE} <= ROLES["chaos-operator"]
    assert not {Permission.CHAOS_ACTIVATE, Permission.CHAOS_APPROVE} <= ROLES["chaos-approver"]


def test_the_grants_of_the_mesh_name_roles_that_exist():
    assert set(MESH_GRANTS.values()) <= set(ROLES)


def test_forged_names_do_not_fill_the_memory():
    policy = Policy([Binding("user:anna", "viewer")])
    for number in range(2 * MAX_REMEMBERED):
        policy.decide(Principal(f"forged-{number}"), READ, ORDERS)
    assert len(policy._rules) <= MAX_REMEMBERED
    assert policy.decide(ANNA, READ, ORDERS).allowed


def test_a_role_that_does_not_exist_is_an_error_and_no_grant():
    with pytest.raises(KeyError):
        Binding("user:anna", "emperor").grants()


words = st.sampled_from(["", "a", "b", "ab"])
globs = st.sampled_from(["*", "a", "b", "a*", "?", "[ab]", ""])
bindings = st.builds(
    Binding,
    subject=st.sampled_from(["user:a", "user:b", "user:*", "user:[ab]", "group:a", "group:b"]),
    role=st.sampled_from(["", *ROLES]),
    permissions=st.lists(st.sampled_from(Permission), max_size=2).map(tuple),
    scope=st.builds(Scope, host=globs, cluster=globs, namespace=globs, probe=globs, fault=globs),
    deny=st.booleans(),
)


def is_about(binding: Binding, principal: Principal, permission: Permission, resource: Resource) -> bool:
    kind, _, name = binding.subject.partition(":")
    mine = fnmatchcase(principal.name, name) if kind == "user" else name in principal.groups
    within = all(fnmatchcase(getattr(resource, axis), getattr(binding.scope, axis)) for axis in Scope.__struct_fields__)
    return mine and permission in binding.grants() and within


@given(
    st.lists(bindings, max_size=6),
    st.builds(Principal, st.sampled_from(["a", "b", "c"]), st.lists(st.sampled_from(["a", "b"]), unique=True).map(tuple)),
    st.sampled_from(Permission),
    st.builds(Resource, words, words, words, words, words),
)
def test_it_decides_as_the_rule_reads(bindings, principal, permission, resource):
    speaking = [binding for binding in bindings if is_about(binding, principal, permission, resource)]
    expected = bool(speaking) and not any(binding.deny for binding in speaking)
    policy = Policy(bindings)
    assert policy.decide(principal, permission, resource).allowed == expected
    if expected:
        assert policy.holds_anywhere(principal, permission)
