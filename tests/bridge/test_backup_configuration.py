"""The configuration comes along as a person wrote it, without secrets unless asked for."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge import backup, cli, config
from bridge.backup import configuration
from bridge.backup.configuration import ConfigurationFile
from bridge.config import Config
from bridge.registry import Registry
from tests.bridge.saved import NOW, fill, save


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A backup of a bridge with two vehicles."""
    fill(tmp_path / "old")
    save(tmp_path / "old", tmp_path / "saved.zip")
    return tmp_path / "saved.zip"


HEAD = "# Ours\nmqtt:\n  host: broker.lan   # in the cellar\n  username: bridge\n"


def file_of(folder: Path, text: str, **environ: str) -> ConfigurationFile:
    path = folder / "tk103b-bridge.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    return ConfigurationFile(path, config.load(path, environ), environ)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("  password: hunter2\n", "  password: !secret mqtt_password\n"),
        ("  password: 'hunter2'  # old\n", "  password: !secret mqtt_password  # old\n"),
        ("  password:    hunter2\r\n", "  password:    !secret mqtt_password\r\n"),
        ("  password: !env BROKER hunter2\n", "  password: !env BROKER\n"),
        ("  password: !env BROKER\n", "  password: !env BROKER\n"),
        ("  password: !secret broker\n", "  password: !secret broker\n"),
        ("  password: &one hunter2\n", "  password: &one !secret mqtt_password\n"),
        (
            "  password: hunter2  # was hunter2 before\n",
            "  password: !secret mqtt_password  # was *** before\n",
        ),
        (
            "  # password: swordfish\n  password: hunter2\n",
            "  # password: ***\n  password: !secret mqtt_password\n",
        ),
        ("  # password: !secret broker\n", "  # password: !secret broker\n"),
        (
            "  password: |\n    hunter2\n  keepalive: 30\n",
            "  password: !secret mqtt_password\n  keepalive: 30\n",
        ),
        # A name that is the password too is a name all the same.
        ("  password: bridge\n", "  password: !secret mqtt_password\n"),
    ],
)
def test_secrets_are_taken_out_and_all_else_stays(tmp_path, line, instead):
    (tmp_path / "secrets.yaml").write_text("broker: hunter2\n")
    environ = {"BROKER": "hunter2"} if "!env" in line else {}
    assert file_of(tmp_path, HEAD + line, **environ).without_secrets() == HEAD + instead


def test_nothing_but_secrets_is_touched(tmp_path):
    text = (
        "# Ours: password: see the cellar\n"
        "vehicles:\n  golf:\n    name: '# password: none'  # 1234\n"
        "    trackers: [864000000000111, 012345678901]\n"
        "access:\n  block:\n    - 864000000000104\nlog:\n"
    )
    assert file_of(tmp_path, text).without_secrets() == text.replace("see the cellar", "***")


def test_what_was_given_in_one_line(tmp_path):
    text = 'mqtt: {host: b, username: "hunter2", password: "hunter2"}\n'
    assert file_of(tmp_path, text).without_secrets() == (
        'mqtt: {host: b, username: "hunter2", password: !secret mqtt_password}\n'
    )


@given(
    password=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
    style=st.sampled_from([None, "'", '"', "|", ">"]),
)
def test_what_is_saved_tells_no_password_and_says_what_is_missing(
    tmp_path_factory, password, style
):
    """With the password added again, the configuration means what it meant."""
    folder = tmp_path_factory.mktemp("law")
    word = yaml.dump(password, default_style=style, allow_unicode=True, width=10_000)
    word = word.removesuffix("...\n").rstrip("\n").replace("\n", "\n    ")
    text = f"{HEAD}  password: {word}\n  keepalive: 30\n"
    file = file_of(folder, text)
    was = config.load(folder / "tk103b-bridge.yaml", {})
    assert was.mqtt.password is not None
    assert was.mqtt.password.reveal() == password
    found = file.without_secrets()
    assert found == f"{HEAD}  password: !secret mqtt_password\n  keepalive: 30\n"
    (folder / "secrets.yaml").write_text(yaml.safe_dump({"mqtt_password": password}))
    (folder / "saved.yaml").write_text(found, encoding="utf-8")
    again = config.load(folder / "saved.yaml", {})
    assert again.mqtt == was.mqtt


def test_everything_the_example_file_says_is_kept(tmp_path):
    example = Path(__file__).parents[2] / "tk103b-bridge.example.yaml"
    text = example.read_text(encoding="utf-8")
    assert file_of(tmp_path, text).without_secrets() == text


def test_with_secrets_it_is_as_it_was_with_those_it_names_and_no_others(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    text = f"{HEAD}  password: !secret broker\nstorage:\n  path: {tmp_path / 'old'}\n"
    (home / "secrets.yaml").write_text("broker: '0123'\nbank: swordfish\n")
    file_of(home, text)
    fill(tmp_path / "old")
    save(
        tmp_path / "old",
        tmp_path / "saved.zip",
        config_file=home / "tk103b-bridge.yaml",
        with_secrets=True,
    )
    with zipfile.ZipFile(tmp_path / "saved.zip") as packed:
        assert packed.read("tk103b-bridge.yaml").decode() == text
        assert packed.read("secrets.yaml") == b"broker: '0123'\n"


def test_what_else_the_bridge_was_configured_with_is_named(tmp_path):
    (tmp_path / "ca.pem").write_text("")
    text = f"mqtt:\n  host: !env HOST\n  tls:\n    ca: {tmp_path}/ca.pem\n"
    environ = {
        "HOST": "b",
        "TK103B__LOG__LEVEL": "debug",
        "TK103B__MQTT__USERNAME": "",
        "HOME": "/",
    }
    file = file_of(tmp_path, text, **environ)
    loaded = config.load(tmp_path / "tk103b-bridge.yaml", environ)
    assert configuration.left_out(loaded, environ, file) == [
        "environment variable HOST",
        "environment variable TK103B__LOG__LEVEL",
        f"file {tmp_path}/ca.pem (mqtt.tls.ca)",
    ]


@pytest.fixture
def moved(tmp_path, monkeypatch) -> Path:
    """Sit in an empty folder with a backup whose configuration names a data folder."""
    home = tmp_path / "home"
    home.mkdir()
    file_of(home, f"{HEAD}  password: hunter2\nstorage:\n  path: cars/data\n")
    monkeypatch.chdir(home)
    fill(home / "cars/data")
    save(Path("cars/data"), tmp_path / "saved.zip", config_file=Path("tk103b-bridge.yaml"))
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    return tmp_path / "saved.zip"


def test_where_there_is_no_configuration_that_of_the_backup_is_followed(tmp_path, moved):
    restored = backup.restore(moved, Config(), None, force=False, now=NOW)
    assert restored.folder == Path("cars/data")
    assert restored.written == (Path("tk103b-bridge.yaml"),)
    assert stat.S_IMODE(Path("tk103b-bridge.yaml").stat().st_mode) == 0o600
    assert "hunter2" not in Path("tk103b-bridge.yaml").read_text()
    assert len(Registry.open(tmp_path / "there/cars/data", "x").accepted()) == 2


def test_a_configuration_that_is_there_stays_and_is_followed(moved):
    Path("tk103b-bridge.yaml").write_text("log:\n  level: debug\n")
    mine = Path("tk103b-bridge.yaml")
    restored = backup.restore(moved, config.load(None, {}), mine, force=False, now=NOW)
    assert restored.folder == Path("tk103b-data")
    assert restored.written == (Path("tk103b-bridge.restored.yaml"),)
    assert Path("tk103b-bridge.yaml").read_text() == "log:\n  level: debug\n"


# --- what is said of it ---------------------------------------------------------------------------


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run a command in a folder of its own; return exit code, output and complaints."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    for name in [name for name in os.environ if name.startswith("TK103B")]:
        monkeypatch.delenv(name)

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        return code, *capsys.readouterr()

    return run


def test_saved_and_restored_by_hand(tmp_path, typed, monkeypatch):
    home, there = tmp_path / "home", tmp_path / "there"
    text = "mqtt:\n  host: b\n  username: me  # my broker\n  password: {}\n"
    (home / "tk103b-bridge.yaml").write_text(text.format("swordfish"))
    fill(home / "tk103b-data")
    monkeypatch.setenv("TK103B__LOG__LEVEL", "debug")
    code, out, err = typed("backup", f"{tmp_path}/saved.zip")
    size = f"{(tmp_path / 'saved.zip').stat().st_size / 1e6:.1f}"
    assert (code, err) == (0, "")
    assert out == (
        f"{tmp_path}/saved.zip: 2 vehicles, journal up to row 5, {size} MB.\n"
        "Not in it, though the bridge was configured with them:\n"
        "  environment variable TK103B__LOG__LEVEL\n"
    )
    code, out, err = typed("backup", "--with-secrets")
    assert "It holds passwords" in out
    (named,) = home.glob("tk103b-backup-*.zip")
    for path, password in (
        (tmp_path / "saved.zip", "!secret mqtt_password"),
        (named, "swordfish"),
    ):
        with zipfile.ZipFile(path) as packed:
            assert packed.read("tk103b-bridge.yaml").decode() == text.format(password)

    there.mkdir()
    monkeypatch.chdir(there)
    code, out, err = typed("restore", f"{tmp_path}/saved.zip")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("Restored into tk103b-data: 2 vehicles, journal up to")
    assert "Its configuration: tk103b-bridge.yaml" in out
    assert "Passwords are not in it" in out
    assert "Do not run the bridge that was saved any more" in out
    code, out, err = typed("check-config")
    assert code == 2
    assert err.startswith("tk103b-bridge: tk103b-bridge.yaml:4: !secret mqtt_password: ")


def test_refusals_are_one_sentence_and_an_exit_code(typed, saved):
    code, out, err = typed("backup")
    assert (code, out) == (4, "")
    assert "there is no data folder" in err
    assert typed("restore", str(saved))[0] == 0
    code, out, err = typed("restore", str(saved))
    assert (code, out) == (1, "")
    assert err == (
        "tk103b-bridge: the data folder tk103b-data already knows 2 vehicles. With --force it is"
        " moved aside, not deleted\n"
    )
    code, out, err = typed("restore", str(saved), "--force")
    assert "What was there before lies in tk103b-data/before-restore-" in out
    saved.write_bytes(b"PK")
    code, out, err = typed("restore", str(saved))
    assert (code, out) == (1, "")
    assert err == f"tk103b-bridge: {saved} cannot be restored: it is no ZIP file\n"
