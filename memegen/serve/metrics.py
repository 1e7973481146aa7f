"""Counts and times for Prometheus, in its text format (version 0.0.4)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Upper bounds of the histograms' buckets, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
Labels = tuple[tuple[str, str], ...]


@dataclass
class _Histogram:
    """How many observations fell below each of BUCKETS."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, labels: Labels) -> Iterable[str]:
        below = 0
        for bound, count in zip((*BUCKETS, None), self.counts, strict=True):
            below += count
            le = "+Inf" if bound is None else f"{bound:g}"
            yield f"{name}_bucket{_shown((*labels, ('le', le)))} {below}"
        yield f"{name}_sum{_shown(labels)} {self.total:.6f}"
        yield f"{name}_count{_shown(labels)} {below}"


class Metrics:
    """What is counted, by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, Labels], int] = {}
        self._times: dict[tuple[str, Labels], _Histogram] = {}

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter."""
        key = name, tuple(sorted(labels.items()))
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1

    def time(self, name: str, seconds: float, **labels: str) -> None:
        """Note how long something took."""
        key = name, tuple(sorted(labels.items()))
        with self._lock:
            self._times.setdefault(key, _Histogram()).add(seconds)

    def text(self, gauges: Mapping[str, float]) -> str:
        """All of it, with values of this moment."""
        with self._lock:
            lines = [f"{name} {value:g}" for name, value in gauges.items()]
            typed = [f"# TYPE {name} gauge" for name in gauges]
            found = [line for pair in zip(typed, lines, strict=True) for line in pair]
            for name in sorted({name for name, _ in self._counts}):
                found.append(f"# TYPE {name} counter")
                rows = sorted((k[1], v) for k, v in self._counts.items() if k[0] == name)
                found += [f"{name}{_shown(labels)} {count}" for labels, count in rows]
            for name in sorted({name for name, _ in self._times}):
                found.append(f"# TYPE {name} histogram")
                for (which, labels), histogram in sorted(self._times.items(), key=lambda i: i[0]):
                    if which == name:
                        found += histogram.lines(name, labels)
        return "\n".join(found) + "\n"


def _shown(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""


def resident_bytes() -> float:
    """Memory that this process holds; 0 where the system does not say so (Linux does)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    row = next((line for line in lines if line.startswith("VmRSS:")), "VmRSS: 0 kB")
    return float(row.split()[1]) * 1024
