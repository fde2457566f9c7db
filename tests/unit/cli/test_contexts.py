import pytest

from meshkit_fastprobe.cli import contexts
from meshkit_fastprobe.cli.app import run
from meshkit_fastprobe.cli.exits import CliError, Exit

WRITTEN = """\
# mine
current = "eu"  # for now

[context.eu]
hosts = ["https://cp-1:9464", "cp-2:9464"]
token_file = "eu.token"

[context.lab]
hosts_file = "lab.txt"
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    for name in ("FASTPROBE_TOKEN", "FASTPROBE_CONTEXT", "FASTPROBE_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FASTPROBE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FASTPROBE_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(WRITTEN)
    (tmp_path / "eu.token").write_text("eu-secret\n")
    (tmp_path / "lab.txt").write_text("# the lab\n10.0.0.1:9464\n\nhttp://10.0.0.2:9464  # new\n10.0.0.1:9464\n")
    return tmp_path


def test_the_current_context_is_asked_when_nobody_is_named():
    whom = contexts.asked([], None)
    assert (whom.hosts, whom.token) == (["https://cp-1:9464", "http://cp-2:9464"], "eu-secret")


def test_a_hosts_file_has_one_host_a_line_and_each_is_asked_once(monkeypatch):
    monkeypatch.setenv("FASTPROBE_CONTEXT", "lab")
    assert contexts.asked([], None).hosts == ["http://10.0.0.1:9464", "http://10.0.0.2:9464"]


def test_a_hosts_file_can_be_named_without_a_context(folder):
    assert contexts.urls(["cp-9:9464", f"@{folder / 'lab.txt'}"]) == [
        "http://cp-9:9464",
        "http://10.0.0.1:9464",
        "http://10.0.0.2:9464",
    ]


def test_the_token_of_the_current_context_is_not_sent_to_hosts_that_are_named():
    assert contexts.asked(["http://elsewhere:9464"], None).token is None


def test_a_context_that_is_named_lends_its_token_to_hosts_that_are_named(monkeypatch):
    monkeypatch.setenv("FASTPROBE_CONTEXT", "eu")
    whom = contexts.asked(["https://cp-3:9464"], None)
    assert (whom.hosts, whom.token) == (["https://cp-3:9464"], "eu-secret")


def test_the_environment_comes_before_the_context(monkeypatch):
    monkeypatch.setenv("FASTPROBE_TOKEN", "mine")
    monkeypatch.setenv("FASTPROBE_CA_FILE", "/ca.pem")
    whom = contexts.asked([], None)
    assert (whom.token, whom.ca_file) == ("mine", "/ca.pem")


def test_without_a_file_this_machine_is_asked(folder):
    (folder / "config.toml").unlink()
    assert contexts.asked([], None).hosts == [contexts.DEFAULT_HOST]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("context = 3", "Expected `object`"),
        ("[context.eu]\nhost = []", "host"),
        ("[context", "config.toml"),
        ('current = "nowhere"', "no context named 'nowhere'"),
        ('current = "a"\n[context.a]', "names no host"),
        ('current = "a"\n[context.a]\nhosts = ["a b"]', "is not the URL of a host"),
        ('current = "a"\n[context.a]\nhosts_file = "gone"', "cannot read the hosts in"),
    ],
)
def test_a_file_that_means_nothing_is_refused_with_what_is_wrong(folder, text, told):
    (folder / "config.toml").write_text(text)
    with pytest.raises(CliError) as refused:
        contexts.asked([], None)
    assert told in refused.value.what
    assert (refused.value.code, bool(refused.value.next_step)) == (Exit.USAGE, True)


def test_use_changes_one_line_and_leaves_the_rest_as_it_was(folder, capsys):
    (folder / "config.toml").chmod(0o600)
    assert run(["context", "use", "lab"]) == 0
    assert (folder / "config.toml").read_text() == WRITTEN.replace('current = "eu"', 'current = "lab"')
    assert (folder / "config.toml").stat().st_mode & 0o777 == 0o600
    assert "lab is asked from now on" in capsys.readouterr().out


def test_use_writes_the_line_where_there_was_none(folder):
    without = WRITTEN.replace('current = "eu"  # for now\n', "")
    (folder / "config.toml").write_text(without)
    assert run(["context", "use", "lab"]) == 0
    assert (folder / "config.toml").read_text() == f'current = "lab"\n{without}'


def test_a_dry_run_changes_nothing(folder):
    assert run(["context", "use", "lab", "--dry-run"]) == 0
    assert (folder / "config.toml").read_text() == WRITTEN


def test_a_context_that_does_not_exist_is_refused_with_one_that_is_near(capsys):
    assert run(["context", "use", "la"]) == 2
    assert "did you mean lab?" in capsys.readouterr().err


def test_list_marks_the_current_one_and_show_hides_the_token(capsys):
    assert run(["context", "list"]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [["*", "eu"], ["lab", "@lab.txt"]]
    assert run(["context", "show"]) == 0
    shown = capsys.readouterr().out
    assert "https://cp-1:9464" in shown
    assert "eu-secret" not in shown
