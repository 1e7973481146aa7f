"""Checkerboards: the regular patterns that upsampling leaves (Odena et al., distill.pub, 2016)."""

from __future__ import annotations

import numpy as np

from memegen.arrays import LUMA, Array

PERIODS = (2, 4, 8)  # pixels: of the last, the last but one and the third last doubling
_AROUND = (4, 6, 8)  # bins between a point of the grid and what it is compared with


def checkerboard(pictures: Array) -> dict[int, float]:
    """Energy of checkerboards in (T, S, S, 3) pictures by period in pixels; 1 is none.

    A doubling of the size that does not treat all pixels alike leaves a pattern that repeats every
    2 of its pixels. In the power spectrum, averaged over the pictures, it stands as peaks where
    the frequencies across and down are multiples of 1/period, and not both of 2/period. The figure
    is the energy there by that of neighbouring frequencies on the same line, as a geometric mean
    over all such points (spectra of photos fall steeply, and evenly only on a logarithmic scale).
    S must be a multiple of 8 and at least 128. Any scale of the pictures will do.
    """
    power = spectrum(pictures @ LUMA)
    return {period: float(np.exp(np.mean(_peaks(np.log(power), period)))) for period in PERIODS}


def spectrum(pictures: Array) -> Array:
    """(T, S, S) -> (S, S) mean power by frequency, frequency 0 first, smoothed over 3 x 3 bins.

    A Hann window keeps the edges, where a picture does not repeat itself, from being seen.
    """
    side = pictures.shape[-1]
    line = np.hanning(side)
    centred = (pictures - pictures.mean((1, 2), keepdims=True)) * line[:, None] * line[None]
    power = (np.abs(np.fft.fft2(centred)) ** 2).mean(0)
    shifted = [np.roll(power, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return np.asarray(np.mean(shifted, 0) + 1e-12)


def _peaks(logarithm: Array, period: int) -> list[float]:
    """How far each point of a period's grid is above its neighbours."""
    side = len(logarithm)
    found = []
    for down in range(period):
        for across in range(period):
            if down % 2 == 0 and across % 2 == 0:
                continue  # a longer period's, or the mean
            at = np.array([down, across]) * side // period
            # On an axis only along it: that is where most of every photo's energy is.
            ways = [way for way, own in (((1, 0), down), ((0, 1), across)) if own]
            near = [
                logarithm[tuple((at + sign * step * np.array(way)) % side)]
                for way in ways
                for step in _AROUND
                for sign in (-1, 1)
            ]
            found.append(float(logarithm[tuple(at)] - np.mean(near)))
    return found
