"""The comparison as tables in Markdown, between two markers of a page; the rest stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memegen.errors import UsageError
from memegen.evaluation.comparison import CROP, Comparison, Row, Value
from memegen.evaluation.measures import REGIONS
from memegen.evaluation.pair_figures import MEASURES
from memegen.files import write_text

BEGIN = "<!-- memegen evaluate table: written by this command from here on -->"
END = "<!-- memegen evaluate table: to here -->"
DASH = "-"
HEADER = "# Models compared\n"  # of a page that is not there yet


@dataclass(frozen=True)
class Column:
    """One column: what stands above it, and the figures in its cells."""

    title: str
    figures: tuple[str, ...]
    form: tuple[str, ...] = ("{:.3g}",)  # of each figure
    scale: float = 1.0  # that figures are multiplied by


@dataclass(frozen=True)
class Section:
    """One table."""

    title: str
    about: Callable[[Comparison], str]
    columns: tuple[Column, ...]
    still: bool = False  # whether the photo as it is has a row


@dataclass
class Footnotes:
    """Reasons under the tables, each once."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """The number of a reason, raised."""
        if not text:
            return ""
        if text not in self.texts:
            self.texts.append(text)
        return f"<sup>{self.texts.index(text) + 1}</sup>"


def _cost(comparison: Comparison) -> str:
    return (
        f"On one machine ({comparison.machine}): the network alone for one frame, in single and in "
        f"half precision, and everything that a frame of a face crop of {CROP} px takes. "
        "GFLOPs: a multiplication and an addition are two."
    )


def _seen(comparison: Comparison) -> str:
    told = comparison.verification
    ruler = f" (it tells {told:.0%} of held-out people apart)" if told is not None else ""
    return (
        f"{comparison.judge} looks. Response: change seen over change asked for, 1 is right, mean "
        f"over the action units with which pictures change at all, on {comparison.faces} neutral "
        f"faces. Lips: distance of the landmarks from those of a real photo of the same person "
        f"with that expression, in inter-ocular distances, {comparison.pairs} pairs. Identity: "
        f"cosine distance from the photo that was driven, 0 is the same picture, 1 a "
        f"stranger{ruler}."
    )


def _pixels(comparison: Comparison) -> str:
    return (
        "SSIM (more is better) / PSNR in decibels (more) / perceptual distance (less) from that "
        "real photo, by region. Its light and pose are its own, so no model comes near 1: compare "
        "with the row `still`."
    )


def _history(comparison: Comparison) -> str:
    return "As weights files say it (`memegen weights info`)."


def _each(measure: str) -> str:
    return {"ssim": "{:.3f}", "psnr": "{:.1f}", "perceptual": "{:.3f}"}[measure]


SECTIONS = (
    Section(
        "Size and speed",
        _cost,
        (
            Column("parameters, M", ("parameters",), ("{:.2f}",), 1e-6),
            Column("file, MB", ("megabytes",), ("{:.1f}",)),
            Column("GFLOPs", ("gflops",)),
            Column("CPU fp32, ms", ("ms_fp32",)),
            Column("CPU bf16, ms", ("ms_bf16",)),
            Column("GPU, ms", ("ms_gpu",)),
            Column("whole frame, ms", ("ms_frame",)),
            Column("makes, px", ("resolution",), ("{:.0f}",)),
        ),
    ),
    Section(
        "What is seen",
        _seen,
        (
            Column("action units", ("aus",)),
            Column("response", ("au_slope",), ("{:.2f}",)),
            Column("correlation", ("au_correlation",), ("{:.2f}",)),
            Column("response, AU12", ("au12",), ("{:.2f}",)),
            Column("lips", ("lips",), ("{:.4f}",)),
            Column("identity", ("identity",), ("{:.3f}",)),
        ),
        still=True,
    ),
    Section(
        "Pixels",
        _pixels,
        tuple(
            Column(region, tuple(f"{m}_{region}" for m in MEASURES), tuple(map(_each, MEASURES)))
            for region in REGIONS
        ),
        still=True,
    ),
    Section(
        "Training",
        _history,
        (
            Column("data", ("data",)),
            Column("steps", ("steps",), ("{:.0f}",)),
            Column("minutes", ("minutes",)),
            Column("images a second", ("images_per_second",)),
            Column("on", ("device",)),
        ),
    ),
)


def markdown(comparison: Comparison, picture: str = "") -> str:
    """All tables, with a dash and a footnote where a model cannot do what a column asks.

    picture: of all models, above the tables, as a page names it.
    """
    notes = Footnotes()
    parts = [f"Compared on `{comparison.data}` in one run of `memegen evaluate table`."]
    if picture:
        parts.append(f"![The same faces through every model]({picture})")
    for section in SECTIONS:
        rows = comparison.rows if section.still else comparison.rows[1:]
        parts += [f"### {section.title}", section.about(comparison)]
        parts.append(_table(section.columns, rows, notes))
    listed = (f"{number}. {text}" for number, text in enumerate(notes.texts, 1))
    return "\n\n".join([*parts, "\n".join(listed)]).rstrip() + "\n"


def _table(columns: Sequence[Column], rows: Sequence[Row], notes: Footnotes) -> str:
    lines = [
        "| model | " + " | ".join(column.title for column in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for row in rows:
        cells = [_cell(row, column, notes) for column in columns]
        lines.append(f"| `{row.name}`{notes.mark(row.note)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: Row, column: Column, notes: Footnotes) -> str:
    lacking = [name for name in column.figures if name not in row.figures]
    if lacking:
        return DASH + notes.mark(row.missing.get(lacking[0], ""))
    forms = column.form if len(column.form) == len(column.figures) else column.form[:1]
    shown = (
        _shown(row.figures[name], form, column.scale)
        for name, form in zip(column.figures, forms, strict=True)
    )
    return " / ".join(shown)


def _shown(value: Value, form: str, scale: float) -> str:
    """A figure, or text that cannot end a cell."""
    if isinstance(value, str):
        return " ".join(value.replace("|", "/").split())
    return form.format(value * scale)


def check_page(page: Path) -> None:
    """Raises UsageError for a page that is there and has no markers to write between."""
    if page.exists():
        _parts(page)


def write_between_markers(page: Path, text: str) -> None:
    """Put text between a page's markers; a page that is not there is made. The rest stays."""
    before, after = _parts(page) if page.exists() else (f"{HEADER}\n", "\n")
    write_text(page, f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}")


def _parts(page: Path) -> tuple[str, str]:
    """What stands before the first marker of a page and after the second."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{page}: cannot be read ({error})") from None
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise UsageError(f"{page}: lacks the lines to write between: {BEGIN} and {END}")
    return before, after
