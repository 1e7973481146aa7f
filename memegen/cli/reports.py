"""Reports of `memegen evaluate`: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from memegen.cli.console import result, tabulate

Report = Mapping[str, Mapping[str, float]]
ERROR = " (se)"  # ends the names of standard errors
SHARED = "pairs"  # the row of a report side by side that all its models share


@dataclass(frozen=True)
class Printed:
    """Reports by heading, and how they are shown."""

    reports: Mapping[str, Report]
    headed: bool = True  # else one report without a heading
    aside: frozenset[str] = frozenset()  # headings of reports that are shown side by side

    @property
    def nested(self) -> object:
        """What is printed as JSON."""
        return self.reports if self.headed else next(iter(self.reports.values()))

    def show(self, as_json: bool = False) -> None:
        """Print, as tables or as JSON."""
        if as_json:
            result(json.dumps(self.nested, indent=2))
            return
        for heading, report in self.reports.items():
            if self.headed:
                result(heading)
            (side_by_side if heading in self.aside else show)(report)


def show(report: Report) -> None:
    """Tables of a report, one for every run of rows of which one has all figures of the others."""
    runs: list[tuple[list[str], list[str]]] = []  # names of rows, figures
    for name, row in report.items():
        own = list(dict.fromkeys(map(_plain, row)))
        names, figures = runs[-1] if runs else ([], [])
        if names and (set(own) <= set(figures) or set(own) >= set(figures)):
            runs[-1] = ([*names, name], max(figures, own, key=len))
        else:
            runs.append(([name], own))
    for names, figures in runs:
        _table({name: report[name] for name in names}, figures, len(figures) > len(names))


def side_by_side(report: Report) -> None:
    """A line a figure, a column a model; and what they share."""
    models = {name: found for name, found in report.items() if name != SHARED}
    figures = [_plain(figure) for found in models.values() for figure in found]
    _table(models, list(dict.fromkeys(figures)), figures_down=True)
    shared = ", ".join(f"{name} {value:.4g}" for name, value in report[SHARED].items())
    result(f"{SHARED}: {shared}")


def _table(report: Report, figures: list[str], figures_down: bool) -> None:
    """A table of a report; `figures_down`: its figures are the lines, else the columns."""
    names = list(report)
    cells = [[_cell(report[name], figure) for figure in figures] for name in names]
    lines, columns = names, figures
    if figures_down:
        lines, columns, cells = figures, names, [list(row) for row in zip(*cells, strict=True)]
    rows = [[line, *row] for line, row in zip(lines, cells, strict=True)]
    tabulate(rows, ("", *columns), always_headed=True, numbers=True)


def _plain(figure: str) -> str:
    """The figure that a standard error (`NAME (se)`) belongs to, or itself."""
    return figure.removesuffix(ERROR)


def _cell(figures: Mapping[str, float], name: str) -> str:
    """A figure, with its standard error where it has one."""
    if name not in figures:
        return "-"
    error = figures.get(name + ERROR)
    return f"{figures[name]:.4g}" + ("" if error is None else f" ±{error:.2g}")
