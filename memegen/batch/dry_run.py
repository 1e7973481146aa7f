"""What a batch would do: photos are read and outputs compared, nothing is painted or written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memegen.batch.fingerprint import Fingerprints
from memegen.batch.jobs import Job, State
from memegen.batch.manifest import Manifests
from memegen.errors import MemegenError, UsageError, in_one_line
from memegen.media.formats import Format, output_format
from memegen.photo import picture_kind, read_photo
from memegen.played import Played
from memegen.tracks import Track


@dataclass(frozen=True)
class Forecast:
    """What would become of a job."""

    job: Job
    state: State  # DONE: it would be made
    fmt: Format
    track: Track
    size: tuple[int, int] | None  # of its photo, width and height; None if not read
    error: str = ""


def forecasts(jobs: Sequence[Job], again: bool = False) -> Iterator[Forecast]:
    """One for each job, in turn. Faces are not looked for. `again`: as `run` takes it."""
    manifests, prints = Manifests(), Fingerprints()
    sizes: dict[str, tuple[int, int] | MemegenError] = {}
    for job in jobs:
        settings = job.settings
        fmt = output_format(job.out, settings.format)
        played = Played(job.recipe, job.au, settings.fps, settings.duration, settings.loop)
        track = played.on_photos(fmt, settings.still)
        if job.photo not in sizes:
            sizes = {job.photo: _size(job.photo)}  # the jobs of a photo come one after the other
        size = sizes[job.photo]
        if isinstance(size, MemegenError):
            said = in_one_line(size, job.photo)
            yield Forecast(job, State.FAILED, fmt, track, None, said)
            continue
        current = not again and manifests.is_current(job.out, prints.of(job))
        yield Forecast(job, State.CURRENT if current else State.DONE, fmt, track, size)


def _size(path: str) -> tuple[int, int] | MemegenError:
    try:
        if (
            Path(path).is_file()
            and Path(path).stat().st_size
            and picture_kind(Path(path)) != "still"
        ):
            raise UsageError(f"{path}: moves; a batch animates photos")
        return read_photo(path).size
    except MemegenError as error:
        return error
