"""Our decision: bindings compiled by principal, deny before allow."""

from typing import Any

from benchmarks.shared.bindings import Question, bindings, questions, timed
from meshkit_fastprobe.access import Binding, Permission, Scope
from meshkit_fastprobe.security.policy import Policy, Principal, Resource


def run(workload: dict[str, Any]) -> dict[str, Any]:
    rules = bindings(workload["bindings"], workload["principals"])
    policy = Policy(
        Binding(f"user:{principal}", permissions=(Permission(permission),), scope=Scope(namespace=glob))
        for principal, permission, glob in rules
    )
    principals = {principal: Principal(principal) for principal, _, _ in rules}
    permissions = {str(permission): permission for permission in Permission}

    def decide(question: Question) -> bool:
        principal, permission, namespace = question
        resource = Resource(namespace=namespace)
        return policy.decide(principals[principal], permissions[permission], resource).allowed

    return timed(workload, decide, questions(rules))
