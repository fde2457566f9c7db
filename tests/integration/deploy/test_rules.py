"""The rules as Prometheus itself reads them."""

import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy" / "prometheus"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.service,
    pytest.mark.once,
    pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here: apt-get install prometheus"),
]


def promtool(*arguments):
    ended = subprocess.run(["promtool", *arguments], cwd=DEPLOY, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_promtool_finds_nothing_wrong_with_the_rules():
    promtool("check", "rules", *sorted(map(str, DEPLOY.glob("rules/*.yml"))))


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("tests/*.yml")), ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_not_otherwise(path):
    promtool("test", "rules", str(path))


def test_promtool_finds_nothing_wrong_with_the_example(tmp_path):
    """It looks for the token that the example names, which is the reader's own."""
    shutil.copytree(DEPLOY / "rules", tmp_path / "rules")
    shutil.copy(DEPLOY / "prometheus.yml", tmp_path)
    (tmp_path / "fastprobe-token").write_text("a token", encoding="utf-8")
    promtool("check", "config", str(tmp_path / "prometheus.yml"))
