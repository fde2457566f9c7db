import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meshkit_fastprobe.cli.app import FAMILIES, VERBS, run
from meshkit_fastprobe.cli.completion import SCRIPTS, candidates


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTPROBE_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text('[context.eu]\nhosts = ["cp-1:9464"]\n[context.us]\nhosts = ["cp-2:9464"]\n')
    return tmp_path


def words(*typed):
    return [word for word, _ in candidates(typed)]


def test_the_first_word_is_a_verb_or_a_family():
    assert set(words("")) == {name for name in (*VERBS, *FAMILIES) if " " not in name}


def test_a_family_within_a_family_is_completed_too():
    assert "scenario" in words("chaos", "")
    assert words("chaos", "scenario", "") == ["run", "lint", "schema"]
    assert "--report" in words("chaos", "scenario", "run", "--re")
    assert words("sta") == ["status"]


def test_a_family_is_followed_by_its_verbs():
    assert words("context", "") == ["list", "use", "show"]
    assert words("probes", "pa") == ["pause"]


def test_options_of_the_verb_and_no_others_are_offered():
    assert {"--host", "--context", "--sort", "--watch", "--help"} <= set(words("status", "--"))
    assert "--state" not in words("status", "--")
    assert words("probes", "list", "--st") == ["--state"]


def test_choices_and_contexts_are_offered_where_they_belong():
    assert words("status", "-o", "") == ["table", "wide", "json", "yaml", "name"]
    assert words("groups", "--sort", "p") == ["probes", "p50", "p99"]
    assert words("probes", "list", "--state", "un") == ["unknown", "unhealthy"]
    assert words("status", "--context", "") == ["eu", "us"]
    assert words("context", "use", "u") == ["us"]
    assert words("completion", "") == ["bash", "zsh", "fish"]


def test_where_nothing_is_known_the_shell_offers_files():
    assert words("run", "") == []
    assert words("status", "--host", "") == []
    assert words("nonsense", "") == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_completed(verb):
    assert "--help" in words(*verb.split(), "-")
    assert words(*verb.split()) == [verb.split()[-1]]


@pytest.fixture
def path_with_fastprobe(folder: Path) -> str:
    program = folder / "bin" / "fastprobe"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m meshkit_fastprobe "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def ask_shell(shell, script, path, folder):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here: apt-get install {shell}")
    environment = {**os.environ, "PATH": path, "FASTPROBE_CONFIG": str(folder / "config.toml")}
    command = [shell, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout.split()


def test_bash_completes_by_the_script(folder, path_with_fastprobe):
    asked = 'COMP_WORDS=(fastprobe context use u); COMP_CWORD=3; _fastprobe_completion; echo "${COMPREPLY[@]}"'
    assert ask_shell("bash", f"{SCRIPTS['bash']}\n{asked}", path_with_fastprobe, folder) == ["us"]


def test_fish_completes_by_the_script(folder, path_with_fastprobe):
    asked = 'complete -C "fastprobe context use u"'
    assert ask_shell("fish", f"{SCRIPTS['fish']}\n{asked}", path_with_fastprobe, folder)[0] == "us"


def test_zsh_takes_the_script_and_asks_for_the_words(folder, path_with_fastprobe):
    stubs = "compdef() { :; }; _files() { :; }; _describe() { print -l -- ${(P)2}; }"
    asked = "words=(fastprobe context use u); CURRENT=4; _fastprobe"
    told = ask_shell("zsh", f"{stubs}\n{SCRIPTS['zsh']}\n{asked}", path_with_fastprobe, folder)
    assert told[0] == "us:cp-2:9464"


def test_the_script_is_printed(capsys):
    assert run(["completion", "bash"]) == 0
    assert capsys.readouterr().out == SCRIPTS["bash"]
