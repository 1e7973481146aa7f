"""Photos of some people driven by clips of others: how much of what is performed arrives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memegen.errors import MemegenError
from memegen.evaluation import stages, strength
from memegen.evaluation.driving_clips import DrivingClip, reenact
from memegen.evaluation.judges import Judge
from memegen.evaluation.subjects import looked_at
from memegen.performance.retarget import RetargetOptions
from memegen.pipeline import Animator

Report = dict[str, dict[str, float]]


def evaluate(
    photos: list[Path],
    clips: list[Path],
    animator: Animator,
    judge: Judge,
    options: RetargetOptions,
    most: int | None = None,
    by_stage: bool = False,
    warn: Callable[[str], None] = print,
) -> tuple[Report, Report]:
    """`strength.figures` and, if asked for, `stages.figures` of all photos driven by all clips.

    `run` tells how many photos and clips that were, and how many photos had no face.
    `most`: frames of each clip that are looked at, of which every fourth is played.
    Clips of several without a face are left out, and `warn` is told.
    Raises MemegenError if there is nobody to look at.
    """
    acted = looked_at(clips, lambda clip: DrivingClip.of(clip, animator, judge, most), warn)
    performers = list(acted.values())
    pairs, found = [], []
    people = set()
    for reenactment in reenact(photos, performers, animator, judge, options):
        people.add(reenactment.photo)
        pairs.append(strength.compared(reenactment))
        if by_stage:
            found.append(stages.stages_of(reenactment, animator, options))
    if not pairs:
        raise MemegenError(f"{judge.name} sees no face in these photos")
    run = {"photos": len(people), "left out": len(photos) - len(people), "clips": len(clips)}
    report = strength.figures(pairs) | {"run": {name: float(n) for name, n in run.items()}}
    return report, stages.figures(found) if by_stage else {}
