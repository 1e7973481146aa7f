"""The command line, run in this process."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import pytest

from memegen.cli import app


class Printed(NamedTuple):
    """What a command printed."""

    out: str
    err: str


class RunCli(Protocol):
    """The fixture `run_cli`."""

    def __call__(self, *args: str, code: int = 0, notes: bool = False) -> Printed: ...


def run(
    args: tuple[str, ...], code: int, notes: bool, capsys: pytest.CaptureFixture[str]
) -> Printed:
    """Run `memegen ARGS`, which must end with `code`, without a traceback.

    What goes wrong is told in one line, the only one of standard error unless `notes` are beside.
    """
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setattr("sys.argv", ["memegen", *args])
        app.main()
    printed = Printed(*capsys.readouterr())
    assert (left.value.code or 0) == code, printed.err
    assert "Traceback" not in printed.err
    if code:
        lines = printed.err.strip().splitlines()
        assert any(line.startswith("memegen: ") for line in lines), printed.err
        assert notes or len(lines) == 1, printed.err
    return printed
