"""What the container file copies is what the wheel is made of; it runs as nobody special."""

import re

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib
from pathlib import Path

from support.paths import ROOT

LINES = re.sub(r"\\\n", " ", (ROOT / "Containerfile").read_text()).splitlines()


def instructions(name: str) -> list[str]:
    return [line.split(None, 1)[1] for line in LINES if line.startswith(f"{name} ")]


def copied() -> set[str]:
    found = set()
    for line in instructions("COPY"):
        if not line.startswith("--from"):
            found |= set(line.split()[:-1])
    return found


def test_all_that_a_wheel_needs_is_copied_and_not_ignored() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"]}
    needed |= {*project["project"]["license-files"], "pyproject.toml", "constraints.txt"}
    assert copied() == needed and all((ROOT / name).exists() for name in needed)
    ignored = (ROOT / ".containerignore").read_text()
    kept = {line[1:] for line in ignored.splitlines() if line.startswith("!")}
    assert kept == needed and "\n*\n" in ignored
    assert ignored == (ROOT / ".dockerignore").read_text()  # each engine reads its own


def test_it_runs_as_a_user_on_a_mounted_folder() -> None:
    assert instructions("USER") == ["memegen"] and instructions("WORKDIR") == ["/work"]
    assert instructions("ENTRYPOINT") == ['["memegen"]']
    final = "\n".join(LINES).rpartition("\nFROM ")[2]
    assert "HOME=/tmp " in final and "PATH=/opt/memegen/bin:" in final
    assert "COPY --from=build /opt/memegen /opt/memegen" in final  # where it was made: paths stay
    assert instructions("RUN")[0] == "python -m venv /opt/memegen"
    assert LINES.index("USER memegen") > max(i for i, s in enumerate(LINES) if s.startswith("RUN "))
    assert all(":" in image and not image.endswith("latest") for image in instructions("FROM"))


def test_the_versions_it_greps_for_are_there() -> None:
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    wanted = re.findall(r"grep '\^([\w.=-]+)'", "\n".join(LINES))
    assert wanted == ["torch==", "torchvision=="]
    for begin in wanted:
        assert sum(line.startswith(begin) for line in pinned) == 1


def test_the_wheel_check_names_the_distribution() -> None:
    project = tomllib.loads(Path(ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "memegen-faces" and project["scripts"]["memegen"]
    assert "memegen_faces-*.whl" in (ROOT / ".ci" / "wheel").read_text()
    assert "pip install memegen-faces" in (ROOT / "README.md").read_text()
