"""pycasbin with the same rules: subject, action, glob of namespaces, deny over allow."""

import tempfile
from pathlib import Path
from typing import Any

import casbin

from benchmarks.shared.bindings import Question, bindings, questions, timed

MODEL = """
[request_definition]
r = sub, act, ns

[policy_definition]
p = sub, act, ns, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.sub == p.sub && r.act == p.act && globMatch(r.ns, p.ns)
"""


def run(workload: dict[str, Any]) -> dict[str, Any]:
    rules = bindings(workload["bindings"], workload["principals"])
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.conf"
        model.write_text(MODEL)
        enforcer = casbin.Enforcer(str(model))
    enforcer.add_policies([[*rule, "allow"] for rule in dict.fromkeys(rules)])

    def decide(question: Question) -> bool:
        return bool(enforcer.enforce(*question))

    return timed(workload, decide, questions(rules))
