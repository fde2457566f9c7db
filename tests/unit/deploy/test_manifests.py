import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.config.document import parse_document
from meshkit_fastprobe.config.load import build
from meshkit_fastprobe.probes.builtin import builtin_kinds

DEPLOY = Path(__file__).parents[3] / "deploy"
UNIT = DEPLOY / "systemd" / "fastprobe.service"


def objects(name):
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text(encoding="utf-8"))}


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_every_file_is_yaml(path):
    assert all(document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_the_configuration_in_the_config_map_is_one_that_loads():
    text = objects("fastprobe.yaml")["ConfigMap"]["data"]["fastprobe.toml"]
    config = build(parse_document("fastprobe.toml", text), builtin_kinds, lambda: builtin_faults)
    assert [spec.name for spec in config.probes] == ["dns"]


def test_what_is_mounted_is_there_and_what_is_written_to_is_mounted():
    pod = objects("fastprobe.yaml")["StatefulSet"]["spec"]
    container = pod["template"]["spec"]["containers"][0]
    claimed = {claim["metadata"]["name"] for claim in pod["volumeClaimTemplates"]}
    volumes = {volume["name"] for volume in pod["template"]["spec"]["volumes"]} | claimed
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    text = objects("fastprobe.yaml")["ConfigMap"]["data"]["fastprobe.toml"]
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert all(f'"{place}' in text for place in places if place not in {"/tmp", "/etc/fastprobe"})


def test_the_pod_may_do_nothing_that_probing_does_not_need():
    pod = objects("fastprobe.yaml")["StatefulSet"]["spec"]["template"]["spec"]
    container = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert container["readOnlyRootFilesystem"]
    assert not container["allowPrivilegeEscalation"]
    assert not pod["automountServiceAccountToken"]


def test_the_monitor_selects_the_service_and_names_the_job_that_alerts_ask_for():
    service = objects("fastprobe.yaml")["Service"]
    monitor = objects("prometheus-operator.yaml")["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    endpoint = monitor["endpoints"][0]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert {"targetLabel": "job", "replacement": "meshkit-fastprobe"} in endpoint["relabelings"]
    assert endpoint["honorLabels"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here: apt-get install systemd")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    """The program that the unit starts is not installed where tests run: one that exists stands in for it."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/fastprobe/bin/fastprobe", "/bin/true"), encoding="utf-8")
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
