"""What a batch has written into a folder: a line of JSON for each output, beside the outputs.

A line is appended by one write when an output has its final name, so that whatever kills the
process leaves whole lines, or a last one that is broken and ignored. Later lines replace earlier.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from memegen.errors import UsageError
from memegen.files import write_text

NAME = ".memegen-batch.jsonl"
WASTEFUL = 4  # lines for each output, from which on the file is written anew


@dataclass(frozen=True)
class Entry:
    """An output of this folder; planned only while it has no fingerprint."""

    out: str  # its name
    fingerprint: str = ""  # of all that it was made of, see `memegen.batch.fingerprint`
    bytes: int = -1

    @classmethod
    def of(cls, line: str) -> Entry | None:
        """The entry of a line, None for a broken one."""
        try:
            found = json.loads(line)
            return cls(str(found["out"]), str(found["fingerprint"]), int(found["bytes"]))
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def line(self) -> str:
        """Its line of the manifest."""
        return json.dumps({"out": self.out, "fingerprint": self.fingerprint, "bytes": self.bytes})


def read(folder: Path) -> dict[str, Entry]:
    """The entries of a folder by output; of one that was written anew, the last."""
    return {entry.out: entry for entry in _entries(folder)}


def planned(folder: Path) -> set[str]:
    """Names of what batches have written into a folder, or meant to."""
    return set(read(folder))


def _entries(folder: Path) -> list[Entry]:
    try:
        text = (folder / NAME).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    return [entry for line in text.splitlines() if (entry := Entry.of(line)) is not None]


class Manifests:
    """The manifests of all folders that a batch writes to."""

    def __init__(self) -> None:
        self._known: dict[Path, dict[str, Entry]] = {}

    def is_current(self, out: str, fingerprint: str) -> bool:
        """Whether an output is there, whole, and made of just this."""
        path = Path(out)
        entry = self._of(path.parent).get(path.name)
        if entry is None or entry.fingerprint != fingerprint:
            return False
        try:
            return path.stat().st_size == entry.bytes
        except OSError:
            return False

    def plan(self, outs: list[str]) -> None:
        """Note outputs that will be written, so that none is ever taken for a photo."""
        new: dict[Path, list[Entry]] = {}
        for path in map(Path, outs):
            if path.name not in self._of(path.parent):
                new.setdefault(path.parent, []).append(Entry(path.name))
        for folder, entries in new.items():
            self._append(folder, entries)

    def done(self, out: str, fingerprint: str, size: int) -> None:
        """Note an output that was written, of `size` bytes."""
        path = Path(out)
        self._append(path.parent, [Entry(path.name, fingerprint, size)])

    def _of(self, folder: Path) -> dict[str, Entry]:
        if folder not in self._known:
            entries = _entries(folder)
            known = {entry.out: entry for entry in entries}
            if len(entries) > WASTEFUL * len(known):
                with contextlib.suppress(UsageError):
                    write_text(folder / NAME, "".join(e.line + "\n" for e in known.values()))
            self._known[folder] = known
        return self._known[folder]

    def _append(self, folder: Path, entries: list[Entry]) -> None:
        path = folder / NAME
        text = "".join(entry.line + "\n" for entry in entries)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("a+b", buffering=0) as file:
                end = file.seek(0, os.SEEK_END)
                if end:  # after a line that a kill has broken off, begin a new one
                    file.seek(end - 1)
                    text = text if file.read(1) == b"\n" else "\n" + text
                file.write(text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise UsageError(f"{path}: cannot write ({error.strerror})") from None
        self._of(folder).update({entry.out: entry for entry in entries})
