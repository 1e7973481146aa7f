"""What all pictures of one person in one light share, told once for a whole clip.

Teeth, furrows, the light in the mouth and the sharpness of what is drawn are estimates. Made anew
on every frame of a clip they would flicker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from memegen.arrays import LUMA, Array
from memegen.generators.base import Scene
from memegen.generators.creases import furrow_seed
from memegen.generators.inpaint import blur_of
from memegen.generators.mouth import MouthLayer, SharedMouth
from memegen.generators.mouth_drawing import MouthFrame
from memegen.generators.mouth_light import LightSamples, MouthLight, light_of, light_samples
from memegen.generators.mouth_model import load_mouth
from memegen.generators.mouth_poses import MouthPoses
from memegen.generators.tone import Tone, tone_of
from memegen.geometry.box import Box
from memegen.geometry.topology import EYE_LEFT, EYE_RIGHT, LIPS_INNER

# What is drawn into a mouth is so much softer than the edges of the eyes say (blur_of): with it,
# mouths drawn over real open ones have their Laplacian energy (0.9 times at 352 px a crop, 1.1 at
# 144 px, medians).
SOFTER = 1.6
_EYE_MARGIN = 0.1  # IOD around an eye's opening in which its sharpest edge is looked for
_BRIGHT_SKIN = 90  # percentile of luma that tells how much light a face gets
_LEAST_LUMA = 8.0  # of 255: in the dark, ratios of luma tell little


@dataclass(frozen=True)
class SharedAppearance:
    """What the frames of a clip share."""

    mouth: SharedMouth
    furrows: int  # seed of the forehead's furrows
    light: MouthLight  # where the skin is as bright as `skin`
    skin: float  # luma 0..255 of bright skin
    softness: float  # standard deviation of the pictures' blur, IOD
    tone: Tone | None  # of a clip without colours

    @classmethod
    def of(cls, scenes: Sequence[Scene]) -> SharedAppearance:
        """Told by a few frames of a person. Raises ValueError for none."""
        if not scenes:
            raise ValueError("no frame shows the person")
        pictures = [scene.picture[..., :3].astype(np.float32) for scene in scenes]
        pairs = list(zip(scenes, pictures, strict=True))
        samples = [_samples(*pair) for pair in pairs]
        mouths = [mouth_of(*pair) for pair in pairs]
        edges = [mouth.own_edge for mouth in mouths if mouth.own_edge is not None]
        tones = [tone_of(scene.picture) for scene in scenes]
        grey = [tone for tone in tones if tone is not None]
        first = torch.from_numpy(pictures[0]).permute(2, 0, 1)[None]
        model, light = mouths[0].drawn.model, light_of(_pooled(samples), load_mouth().fit)
        edge = float(np.median(edges)) if edges else model.fit.upper_edge
        return cls(
            SharedMouth(model, edge, MouthPoses(model, light)),
            furrow_seed(first),
            light,
            float(np.median([_brightness(found) for found in samples])),
            float(np.median([_blur(*pair) / _iod(pair[0]) for pair in pairs])),
            grey[0] if len(grey) > len(tones) / 2 else None,
        )


def mouth_of(scene: Scene, picture: Array, device: torch.device | str = "cpu") -> MouthLayer:
    """The inside of a scene's mouth; picture (H, W, 3) is what the scene shows, 0..255.

    It is drawn on `device`.
    """
    shared, iod = scene.shared_appearance, _iod(scene)
    samples = _samples(scene, picture)
    if shared is None:
        light = light_of(samples, load_mouth().fit)
    else:  # lamps stay, but a face may walk into the shade
        brighter = (_brightness(samples) + _LEAST_LUMA) / (shared.skin + _LEAST_LUMA)
        light = replace(shared.light, tooth=shared.light.tooth * np.float32(brighter))
    blur = SOFTER * softness_of(scene, picture) * iod
    ring = scene.pixels(scene.motion.landmarks)[list(LIPS_INNER), :2]
    return MouthLayer(
        picture, ring, _mouth_frame(scene), light, load_mouth(), blur,
        shared.mouth if shared else None, device,
    )  # fmt: skip


def softness_of(scene: Scene, picture: Array) -> float:
    """Standard deviation (IOD) of the blur of a scene's picture (H, W, 3), 0..255."""
    return (
        scene.shared_appearance.softness
        if scene.shared_appearance
        else _blur(scene, picture) / _iod(scene)
    )


def _iod(scene: Scene) -> float:
    """Pixels."""
    return float(scene.motion.pose.scale) * scene.unit


def _samples(scene: Scene, picture: Array) -> LightSamples:
    return light_samples(picture, scene.pixels(scene.motion.landmarks)[:, :2])


def _pooled(samples: Sequence[LightSamples]) -> LightSamples:
    left, right = np.mean([found.sides for found in samples], 0)
    return LightSamples(
        np.concatenate([found.whites for found in samples]),
        np.concatenate([found.skin for found in samples]),
        (float(left), float(right)),
    )


def _brightness(samples: LightSamples) -> float:
    """Luma 0..255 of bright skin."""
    if not len(samples.skin):
        return 0.0
    return float(np.percentile(samples.skin @ LUMA, _BRIGHT_SKIN))


def _blur(scene: Scene, picture: Array) -> float:
    """Standard deviation (pixels) of the picture's blur, as the sharper eye says."""
    points, margin = scene.pixels(scene.motion.landmarks), _EYE_MARGIN * _iod(scene)
    found = []
    for ring in (EYE_RIGHT, EYE_LEFT):
        box = Box.around(points[list(ring), :2], margin, *picture.shape[:2])
        found.append(blur_of(picture[box.slices] @ LUMA))
    return min(found)


def _mouth_frame(scene: Scene) -> MouthFrame:
    motion = scene.motion
    rest = scene.pixels(motion.rest_landmarks())
    axes = motion.pose.direction_to_crop(np.eye(3, dtype=np.float32)).T
    pixels = scene.to_pixels[:, :2] @ axes[:2]
    toward = -axes[2:] / motion.pose.scale
    projection = np.concatenate([pixels, toward]).astype(np.float32)
    return MouthFrame((rest[13, :2] + rest[14, :2]) / 2, projection, _iod(scene))
