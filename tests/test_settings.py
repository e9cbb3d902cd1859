"""Settings: flags over environment over .env, and clear words for bad values."""

from pathlib import Path

import pytest

from pgsluice.cli import main
from pgsluice.settings import SettingsError, clean_url, describe, load, read_env_file

pytestmark = pytest.mark.usefixtures("no_settings")
NO_FILE = Path("no such file")


def test_flags_win_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SLUICE_PORT=1\nSLUICE_HOST=::1\nSLUICE_STAGE=unlogged\n")
    settings = load({"port": 3, "host": None}, {"SLUICE_PORT": "2", "SLUICE_STAGE": ""}, file)
    assert (settings.port, settings.host, settings.stage) == (3, "::1", "logged")


def test_an_env_file_may_have_quotes_comments_and_export(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# a comment\nexport A=1\nB = 'two # words'  # why\nC=three # why\nD=\"\"\nE=a#b\nodd\n"
    )
    found = {"A": "1", "B": "two # words", "C": "three", "D": "", "E": "a#b"}
    assert read_env_file(file) == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUICE_PORT", "http"),
        ("SLUICE_PORT", "65536"),
        ("SLUICE_WORKER", "perhaps"),
        ("SLUICE_STAGE", "temporary"),
        ("SLUICE_IMPORT_SESSIONS", "0"),
        ("SLUICE_ANONYMOUS", "everything"),
        ("SLUICE_API_PREFIX", "/v1"),
        ("SLUICE_MAX_UPLOAD_BYTES", "-1"),
        ("SLUICE_LOG_FORMAT", "xml"),
        ("SLUICE_WEBHOOK_BACKOFF", "0"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({}, {name: value}, NO_FILE)
    assert str(caught.value).startswith(f"{name} cannot be {value!r}: ")


@pytest.mark.parametrize("name", ["SLUICE_WEBHOOK_SECRET", "SLUICE_API_KEYS", "SLUICE_METRICS_KEY"])
def test_a_bad_secret_is_named_and_not_told(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({}, {name: "hush"}, NO_FILE)
    assert str(caught.value).startswith(f"{name} cannot be what it is: ")
    assert "hush" not in str(caught.value)


def test_a_bad_value_ends_the_command_with_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_PORT", "http")
    assert main(["migrate"]) == 2
    assert capsys.readouterr().err.startswith("pgsluice: SLUICE_PORT cannot be 'http'")


def test_an_unknown_setting_is_told(caplog: pytest.LogCaptureFixture) -> None:
    load({}, {"SLUICE_PROT": "1"}, NO_FILE)
    assert "SLUICE_PROT is not a setting" in caplog.text


def test_parameters_of_other_drivers_are_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = "postgresql://u:p%40@h:5/d?schema=public&options=-c%20a%3Db&connection_limit=5"
    assert clean_url(url) == "postgresql://u:p%40@h:5/d?options=-c%20a%3Db"
    assert "ignored schema, connection_limit" in caplog.text


def test_a_url_that_libpq_knows_is_left_as_it_is() -> None:
    for url in ("postgresql://h/d?sslmode=require&a=%20+", "host=h dbname=d"):
        assert clean_url(url) == url


def test_the_example_lists_every_setting_with_its_default() -> None:
    lines = (Path(__file__).parents[1] / ".env.example").read_text().splitlines()
    told = [line.removeprefix("#") for line in lines if line.startswith("#") and "=" in line]
    assert told == [f"{name}={default}" for name, default, _ in describe()]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("SLUICE_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret"),
        ("SLUICE_METRICS_KEY", "of-prometheus", "short"),
        ("SLUICE_API_KEYS", "first-key,second-key:nest", "first-key:unknown"),
    ],
)
def test_a_secret_is_judged_by_its_form(name: str, good: str, bad: str, tmp_path: Path) -> None:
    assert load(environ={name: good}, env_file=tmp_path / "none")
    with pytest.raises(SettingsError, match=name):
        load(environ={name: bad}, env_file=tmp_path / "none")
