"""How far real people go: the numbers of memegen/evaluation/landmark_aus.py.

python benchmarks/reading_scale.py SHARDS

For every action unit, the 99th percentile of the change that MediaPipe's scores, or plain geometry
of its landmarks, show from a neutral photo to another photo of the same person, both near-frontal.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from memegen.evaluation.landmark_aus import READINGS, face_shape, raw_values
from memegen.evaluation.real_pairs import MOST_TURN, SOURCES, is_neutral
from memegen.facedata.shards import load_labels
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.shape import angles_of

QUANTILE = 0.99
JAW_STILL = 0.03  # change of the score jawOpen up to which AU25 is measured


def main() -> None:
    labels = load_labels(Path(sys.argv[1]))
    turned = np.abs(angles_of(labels.rotation))[:, :2].max(1)
    serves = np.isin(labels.source, SOURCES) & (labels.identity >= 0) & (turned < MOST_TURN)
    labels = labels.take(serves)
    values = raw_values(labels.scores, face_shape(labels.landmarks, load_anatomy()))
    neutral, couples = is_neutral(labels, values), []
    for person in np.unique(labels.identity):
        rows = np.flatnonzero(labels.identity == person)
        couples += [(a, b) for a in rows[neutral[rows]] for b in rows if a != b]
    first, second = np.array(couples).T
    still = np.abs(values[26][second] - values[26][first]) < JAW_STILL
    print(f"{len(couples)} pairs, {still.sum()} with jaws as they were")
    for reading in READINGS:
        change = values[reading.number][second] - values[reading.number][first]
        people = np.quantile(change[still] if reading.number == 25 else change, QUANTILE)
        print(f"AU{reading.number:<3} {people:.3f}   in the table {reading.people:.3f}")


if __name__ == "__main__":
    main()
