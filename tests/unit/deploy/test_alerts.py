"""What alerts promise to whoever is woken by them: a page to read, a command that there is, metrics that there are."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from meshkit_fastprobe.cli import app
from meshkit_fastprobe.telemetry import names

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "rules"
ALERTS = [
    rule for group in yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
RUNBOOKS = "https://github.com/meshkit/fastprobe/blob/main/docs/operating/runbooks.md"
TESTED = "".join(path.read_text(encoding="utf-8") for path in (RULES.parent / "tests").glob("*.yml"))


def anchors(page):
    headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_its_runbook(rule):
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == RUNBOOKS
    assert anchor in anchors(ROOT / "docs" / "operating" / "runbooks.md")
    assert f"`{rule['alert']}`" in (ROOT / "docs" / "operating" / "runbooks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_the_next_command_is_one_that_there_is(rule):
    words = shlex.split(re.sub(r"\{\{.*?\}\}", "x", rule["annotations"]["next_command"]))
    assert words[0] == "fastprobe"
    verbs = [word for word in words[1:3] if re.fullmatch(r"[a-z]+", word) and word != "x"]
    assert app.run([*verbs, "--help"]) == 0


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_and_is_tested(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert {"summary", "description", "next_command", "runbook_url"} == set(rule["annotations"])
    assert f"alertname: {rule['alert']}" in TESTED


def test_rules_ask_for_metrics_that_there_are():
    text = "".join(re.sub(r"#.*", "", path.read_text(encoding="utf-8")) for path in RULES.glob("*.yml"))
    recorded = set(re.findall(r"record: (\S+)", text))
    histograms = {f"{metric.name}_bucket" for metric in names.ALL if metric.type == "histogram"}
    asked = set(re.findall(r"[a-z_]*:?\bmeshkit_[a-z_]+(?::\w+)?|\b[a-z_]+:meshkit_[a-z_]+:\w+", text))
    assert asked - {metric.name for metric in names.ALL} - histograms - recorded == set()
