"""Defaults from memegen.toml and the environment: precedence, mistakes, and where each comes from."""

import json
from pathlib import Path

import pytest
from support.command import RunCli
from support.paths import SAMPLE

from memegen.cli import defaults


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, below one that has a memegen.toml; the user's own is beside."""
    monkeypatch.delenv("MEMEGEN_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    place = tmp_path / "project" / "deep"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    return place


def of_user(tmp_path: Path, text: str) -> Path:
    own = tmp_path / "home" / ".config" / "memegen" / "memegen.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(text)
    return own


def shown(run_cli: RunCli, *command: str) -> dict[tuple[str, str], tuple[object, object]]:
    told = json.loads(run_cli("config", *command, "--json").out)["options"]
    return {(row["command"], row["key"]): (row["value"], row["origin"]) for row in told}


def test_the_nearer_one_counts(
    here: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = of_user(tmp_path, 'size = 100\nfps = 10\nmodel = "mesh"\n[animate]\nduration = 1')
    near = here.parent / "memegen.toml"
    near.write_text("size = 200\n[animate]\nfps = 20\n")
    monkeypatch.setenv("MEMEGEN_SIZE", "300")
    monkeypatch.setenv("MEMEGEN_BATCH_SIZE", "400")
    found = shown(run_cli)
    assert found["animate", "size"] == ("300", "MEMEGEN_SIZE")
    assert found["batch", "size"] == ("400", "MEMEGEN_BATCH_SIZE")
    assert found["animate", "fps"] == (20, f"{near}: [animate] fps")
    assert found["batch", "fps"] == (10, f"{own}: fps")
    assert found["animate", "duration"] == (1, f"{own}: [animate] duration")
    assert found["preview", "model"] == ("mesh", f"{own}: model")
    assert ("weights export", "format") not in found
    every = shown(run_cli, "animate")
    assert every["animate", "intensity"] == (1.0, None) and len(every) > 20


def test_what_is_set_is_what_runs(
    here: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "memegen.toml").write_text('size = 64\nmax-size = "90kB"\n[animate]\nrecipe = "wink"\n')
    line = ["animate", str(SAMPLE), "--dry-run"]
    out = run_cli(*line, notes=True).out
    assert "_wink.gif: GIF, 64x64" in out and "at most 90 kB" in out
    assert "GIF, 48x48" in run_cli(*line, "--size", "48").out
    monkeypatch.setenv("MEMEGEN_SIZE", "32")
    assert "GIF, 32x32" in run_cli(*line).out
    assert "GIF, 48x48" in run_cli(*line, "--size", "48").out
    monkeypatch.setenv("MEMEGEN_CONFIG", "")
    assert "_smile.gif: GIF, 32x32" in run_cli(*line).out


def test_a_choice_on_the_command_line_ends_what_excludes_it(here: Path, run_cli: RunCli) -> None:
    (here / "memegen.toml").write_text('for = "discord-sticker"\n[animate]\nrecipe = "wink"\n')
    line = ["animate", str(SAMPLE), "--size", "48", "--dry-run"]
    assert "astronaut_wink.png: APNG, 320x320" in run_cli(*line).out
    assert "GIF, 48x48" in run_cli(*line, "--format", "gif").out
    assert "x.webp: WEBP, 48x48" in run_cli(*line, "-o", "x.webp").out
    assert "out/astronaut_wink.png: APNG, 320" in run_cli(*line, "-o", "out/").out
    (here / "memegen.toml").write_text('[batch]\nrecipe = "wink"\nformat = "webp"\n')
    out = run_cli("batch", str(SAMPLE), "--au", "AU12=3", "--for", "slack-emoji", "--dry-run").out
    assert "astronaut_au.gif" in out


def test_files_of_jobs_mean_the_same_everywhere(
    here: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is typed comes before them, and only what counts is in the fingerprint."""
    from memegen.batch import plan
    from memegen.batch.fingerprint import Fingerprints
    from memegen.batch.jobs_file import read_jobs

    jobs = here / "jobs.yaml"
    jobs.write_text(f"defaults: {{size: 40}}\njobs: [{{photo: '{SAMPLE}', out: 'a.gif'}}]\n")
    (here / "memegen.toml").write_text("size = 64\nfps = 5\n")
    monkeypatch.setenv("MEMEGEN_RECIPE", "wink")
    line = ["batch", str(jobs), "--dry-run", "--json"]
    told = json.loads(run_cli(*line).out)
    assert (told["width"], told["fps"]) == (40, 25)
    assert json.loads(run_cli(*line, "--size", "48").out)["width"] == 48
    bare = Fingerprints().of(plan(read_jobs(jobs))[0])
    typed = Fingerprints().of(plan(read_jobs(jobs, {"size": 48}))[0])
    assert bare != typed
    told = json.loads(run_cli("batch", str(SAMPLE), "-o", "b.gif", "--dry-run", "--json").out)
    assert (told["width"], told["fps"]) == (64, 5)  # photos take the defaults


def test_the_fingerprint_sees_defaults(here: Path, run_cli: RunCli) -> None:
    """What was made with another default is made anew."""
    line = ["batch", str(SAMPLE), "-o", "a.gif", "--model", "mesh", "--fps", "3"]
    (here / "memegen.toml").write_text("size = 48\n")
    run_cli(*line, notes=True)
    assert run_cli(*line, "--dry-run").out == "up to date a.gif\n"
    (here / "memegen.toml").write_text("size = 32\n")
    assert "would write a.gif: GIF, 32x32" in run_cli(*line, "--dry-run").out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sise = 3", "memegen.toml: sise: unknown key, did you mean 'size'?"),
        ("[animat]\nsize = 3", "memegen.toml: animat: unknown key, did you mean 'animate'?"),
        ("[animate]\nrecepie = 'x'", "[animate] recepie: unknown key, did you mean 'recipe'?"),
        ("size = 'big'", "memegen.toml: size: 'big' will not do"),
        ("size = '64'", "memegen.toml: size: must be a number, not the text '64'"),
        ("size = 6.5", "memegen.toml: size: "),
        ("size = true", "memegen.toml: size: must be text or a number, not true"),
        ("loop = 'yes'", "memegen.toml: loop: must be true or false, not 'yes'"),
        ("for = ['a']", "memegen.toml: for: must be one value"),
        ("animate = 3", "memegen.toml: animate: is a command"),
        ("[evaluate.clips]\nmodel = 'mesh'", "[evaluate.clips] model: must be a list"),
        ("[batch]\nworkers = 0", "[batch] workers: 0 will not do"),
        ("size 3", "memegen.toml: not TOML: "),
        ("version = true", "memegen.toml: version: unknown key"),
    ],
)
def test_mistakes_name_file_and_key(here: Path, run_cli: RunCli, text: str, said: str) -> None:
    (here / "memegen.toml").write_text(text)
    assert said in run_cli("recipes", "list", code=2).err
    assert "Usage" in run_cli("animate", "--help").out  # help is there all the same


def test_mistakes_in_the_environment(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEMEGEN_FPS", "fast")
    assert "MEMEGEN_FPS: 'fast' will not do" in run_cli("doctor", code=2).err
    monkeypatch.delenv("MEMEGEN_FPS")
    monkeypatch.setenv("MEMEGEN_ANIMATE_MUTE", "maybe")
    assert "MEMEGEN_ANIMATE_MUTE=maybe" in run_cli("config", code=2).err
    monkeypatch.setenv("MEMEGEN_ANIMATE_MUTE", "on")
    monkeypatch.setenv("MEMEGEN_SPEED_UP", "1")
    printed = run_cli("config")
    assert "--mute" in printed.out and "MEMEGEN_SPEED_UP in the environment is no" in printed.err
    monkeypatch.setenv("MEMEGEN_CONFIG", str(tmp_path / "nix.toml"))
    assert "no such file" in run_cli("config", code=2).err


def test_an_error_tells_who_set_the_value(here: Path, run_cli: RunCli) -> None:
    (here / "memegen.toml").write_text("[animate]\nintensity = 9\n")
    said = run_cli("animate", str(SAMPLE), code=2).err
    assert "--intensity 9" in said and "memegen.toml: [animate] intensity)" in said
    assert "memegen.toml" not in run_cli("animate", str(SAMPLE), "--intensity", "8", code=2).err


def test_paths_begin_at_the_file(here: Path, run_cli: RunCli) -> None:
    (here.parent / "memegen.toml").write_text(
        'out = "./memes/"\nfont = "Anton"\n[animate]\nmodel = "../m.safetensors"\n'
    )
    found = shown(run_cli)
    assert found["animate", "out"][0] == f"{here.parent}/memes/"
    assert found["animate", "model"][0] == f"{here.parent.parent}/m.safetensors"
    assert found["animate", "font"][0] == "Anton"


def test_global_flags(here: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no memegen.toml" in run_cli("config").err
    (here / "memegen.toml").write_text("quiet = true\n")
    assert run_cli("config").err == ""
    monkeypatch.setenv("MEMEGEN_QUIET", "0")
    assert "read:" in run_cli("config").err


def test_every_option_has_a_variable_of_its_own() -> None:
    import typer

    from memegen.cli.app import app

    options = defaults.read_defaults(typer.main.get_command(app)).options
    own = [option.variables[0] for option in options]
    assert len(set(own)) == len(own) and not set(own) & set(defaults.OTHERS)
    assert len(own) > 100
