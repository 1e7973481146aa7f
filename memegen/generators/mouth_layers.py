"""The mouth drawn once per photo as two layers, upper and lower, which frames then only move."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array, Integers, Mask
from memegen.curves import smoothstep
from memegen.generators.inpaint import soften
from memegen.generators.mouth_dimensions import MOUTH
from memegen.generators.mouth_light import MouthLight
from memegen.generators.mouth_model import (
    ANCHOR,
    FULL_JAW,
    LOWER_GUM,
    LOWER_TEETH,
    TONGUE,
    UPPER_GUM,
    UPPER_TEETH,
    WISDOM_TEETH,
    MouthModel,
)
from memegen.geometry.patches import as_images
from memegen.geometry.raster import barycentric_planes, rasterize
from memegen.geometry.sampling import sample_planes

OVERSAMPLE = 2  # raster pixels across one texture pixel
DENSITY = 1.3  # texture pixels across one pixel of the photo
FINEST, COARSEST = 420.0, 20.0  # texture pixels an IOD: no more detail is in the model, no less
WRAP = 0.45  # of diffuse light: enamel scatters it around edges
FRONT = 0.174  # z of the upper incisors' front in face axes, IOD: depth counts from there
# Colours, a lit tooth = 1: gums; and how much redder and darker teeth are at the gum.
GUM = np.array([0.78, 0.50, 0.47], np.float32)
NECK = np.array([0.97, 0.90, 0.80], np.float32)
CANINE = np.array([0.97, 0.94, 0.88], np.float32)
# Highlights: strength (tooth = 1) and Blinn's exponent, of teeth and of wet flesh.
SHINE = {"tooth": (0.20, 48.0), "flesh": (0.14, 22.0)}
FALLOFF = 1.25  # exponent of the falloff of light with depth (1: exponential)
DARKEST = 0.05  # share of light that reaches the deepest flesh
GUM_END = 0.5  # IOD behind the incisors' front
LOWER_END = (0.26, 0.44)  # IOD behind the incisors, over which lower teeth run into the dark
LOWER_MOLARS = 0.35  # share of light that cheeks and tongue keep from the lower side teeth
LOWER_SHADE = 0.9  # light on lower teeth beside upper ones: lip and upper teeth shade them
CREVICE, CREVICE_REACH = 6.5, 0.014  # darkening an IOD below the surroundings, their radius in IOD
LIP_GUARD = 0.75  # least diffuse light: the mouth's walls throw light about


# What a raster of the mouth holds at each pixel, channel by channel.
NORMAL, FACE, SHADE, IS_TONGUE = slice(0, 3), slice(3, 6), slice(6, 7), slice(7, 8)


@dataclass(frozen=True)
class Layer:
    """A drawn part of the mouth: red, green, blue (0..255), coverage 0..1, depth.

    Colours and depth are multiplied with coverage; depth is how far behind the incisors' front, to
    the power of FALLOFF.
    """

    texture: tuple[Tensor, ...]  # images (1, 1..4, H, W), of five channels together
    corner: tuple[float, float]  # pixels of the photo, from the mouth's origin, of its corner
    density: float  # texture pixels a photo pixel

    def sample(self, x: Tensor, y: Tensor) -> Tensor:
        """(T, h, w) pixels from the mouth's origin to (T, 5, h, w); nothing beyond the texture."""
        across, down = (x - self.corner[0]) * self.density, (y - self.corner[1]) * self.density
        return sample_planes(self.texture, across, down, "zeros")


def render(
    model: MouthModel,
    projection: Array,
    light: MouthLight,
    jaw: float | None,
    device: torch.device | str = "cpu",
) -> Layer:
    """Draw the upper part (None) or the lower one, the lower lip `jaw` IOD down by the jaw.

    projection (3, 3): face axes (IOD) to pixels right and down, and IOD to the camera. The layer
    lies on `device`.
    """
    upper = jaw is None
    target = model.is_upper if upper else ~model.is_upper
    target = target & ~np.isin(model.tooth, WISDOM_TEETH)
    triangles = model.triangles[target[model.triangles].all(1)]
    face = model.at(jaw or 0.0)
    posed = (face - ANCHOR) @ projection.T
    iod = float(np.sqrt(abs(np.linalg.norm(projection[0]) * np.linalg.norm(projection[1]))))
    density = float(np.clip(DENSITY, COARSEST / iod, max(FINEST / iod, 0.1)))
    low = np.floor(posed[target, :2].min(0)) - 1
    high = np.ceil(posed[target, :2].max(0)) + 1
    columns, rows = (np.ceil((high - low) * density).astype(int)).tolist()
    fine = density * OVERSAMPLE
    points = torch.from_numpy(((posed[:, :2] - low) * fine).astype(np.float32))
    depth = torch.from_numpy(np.ascontiguousarray(posed[:, 2], np.float32))
    index = rasterize(
        points[None],
        depth[None],
        torch.from_numpy(triangles),
        rows * OVERSAMPLE,
        columns * OVERSAMPLE,
    )[0]
    normals = _normals(posed / np.array([iod, -iod, 1]), triangles)
    attributes = np.concatenate(
        [normals, face, model.shade[:, None], model.tongue[:, None]], 1
    ).astype(np.float32)
    seen = index.numpy() >= 0
    values, nearest = _interpolate(points, index, torch.from_numpy(triangles), attributes)
    colour, behind = _shade(model, values, nearest, seen, light, fine * iod)
    is_tongue = values[..., IS_TONGUE][..., 0]
    # Gums end behind the last teeth: further back there is only the throat.
    # So do the last lower teeth, which a mouth wide open would show as a block with a square end.
    is_gum = np.where(model.tooth[nearest] < 0, 1 - is_tongue, 0)
    cover = seen * (1 - is_gum * smoothstep(GUM_END, GUM_END + MOUTH.gum_fade, behind))
    if not upper:
        cover *= 1 - (1 - is_tongue) * smoothstep(*LOWER_END, behind)
    flat = np.concatenate(
        [colour, np.ones_like(behind)[..., None], behind[..., None] ** FALLOFF], -1
    )
    flat = (flat * cover[..., None]).astype(np.float32)
    texture = cv2.resize(flat, (columns, rows), interpolation=cv2.INTER_AREA)
    left, top = low.tolist()
    return Layer(
        as_images(np.asarray(texture, np.float32), torch.device(device)), (left, top), density
    )


def _normals(posed: Array, triangles: Integers) -> Array:
    """(V, 3) unit normals toward the camera (image right, up, to the camera)."""
    a, b, c = (posed[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros_like(posed)
    for k in range(3):
        np.add.at(total, triangles[:, k], face)
    unit = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return np.where(unit[:, 2:] < 0, -unit, unit)


def _interpolate(
    points: torch.Tensor, index: torch.Tensor, triangles: torch.Tensor, attributes: Array
) -> tuple[Array, Integers]:
    """Attributes (V, C) at every pixel of a raster (H, W, C), and the nearest vertex (H, W)."""
    height, width = index.shape
    owner = triangles[index.clamp(min=0)]  # (H, W, 3)
    plane = barycentric_planes(points[triangles])[index.clamp(min=0)]  # (H, W, 2, 3)
    x = torch.arange(width) + 0.5
    y = (torch.arange(height) + 0.5)[:, None]
    first, second = (plane[..., k, 0] * x + plane[..., k, 1] * y + plane[..., k, 2] for k in (0, 1))
    weight = torch.stack([first, second, 1 - first - second], -1).clamp(0, 1)
    values = (torch.from_numpy(attributes)[owner] * weight[..., None]).sum(2)
    nearest = owner.gather(2, weight.argmax(-1, keepdim=True))[..., 0]
    return values.numpy(), nearest.numpy()


def _shade(
    model: MouthModel, values: Array, nearest: Integers, seen: Mask, light: MouthLight, iod: float
) -> tuple[Array, Array]:
    """Colour (H, W, 3) 0..255 in full light and depth behind the incisors (H, W), IOD.

    values (H, W, 8): NORMAL, FACE, SHADE, IS_TONGUE; iod: raster pixels.
    """
    normal = values[..., NORMAL]
    normal = normal / np.maximum(np.linalg.norm(normal, axis=-1), 1e-6)[..., None]
    face, part = values[..., FACE], model.part[nearest]
    behind = np.maximum(FRONT - face[..., 2], 0)
    colour = _albedo(model, part, model.tooth[nearest], face, values, light)
    facing = np.clip((normal @ light.key + WRAP) / (1 + WRAP), 0, 1)
    diffuse = LIP_GUARD + (1 - LIP_GUARD) * facing / float((light.key[2] + WRAP) / (1 + WRAP))
    least, more = MOUTH.rim_light
    rim = least + more * smoothstep(*MOUTH.rim, normal[..., 2])
    # Crevices: deeper than the surroundings, within a radius.
    cover = np.maximum(soften(seen.astype(np.float32), CREVICE_REACH * iod), 1e-3)
    around = soften(face[..., 2] * seen, CREVICE_REACH * iod) / cover
    crevice = np.exp(-CREVICE * np.clip(around - face[..., 2], 0, MOUTH.deepest_crevice))
    half = light.key + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    is_tooth = np.isin(part, (UPPER_TEETH, LOWER_TEETH))
    glint = np.zeros_like(facing)
    for rows, kind in ((is_tooth, "tooth"), (~is_tooth, "flesh")):
        strength, sharp = SHINE[kind]
        glint[rows] = strength * np.clip(normal[rows] @ half, 0, 1) ** sharp
    white = np.float32(light.tooth.max())
    shaded = colour * (diffuse * rim * crevice)[..., None] + glint[..., None] * white
    return shaded.astype(np.float32), behind.astype(np.float32)


def _albedo(
    model: MouthModel,
    part: Integers,
    tooth: Integers,
    face: Array,
    values: Array,
    light: MouthLight,
) -> Array:
    """(H, W, 3) colours of enamel, gum and tongue in the face's light, 0..255.

    values (H, W, 8): of which SHADE is the tooth's own.
    """
    grey = light.colour < 1

    def tinted(colour: Array) -> Array:
        """Flesh loses its colour with the photo's."""
        luma = np.float32(colour.mean())
        mixed = luma + (colour - luma) * light.colour if grey else colour
        return mixed * light.tooth

    table = np.ones((5, 3), np.float32)
    table[[UPPER_GUM, LOWER_GUM]] = tinted(GUM)
    table[TONGUE] = table[LOWER_GUM]
    table[UPPER_TEETH], table[LOWER_TEETH] = light.tooth, light.tooth * LOWER_SHADE
    tongue = values[..., IS_TONGUE]
    colour = table[part] * values[..., SHADE]
    colour = colour + (tinted(model.fit.tongue) - colour) * tongue
    is_tooth = np.isin(part, (UPPER_TEETH, LOWER_TEETH))
    # Teeth are darker and yellower toward the gum, and canines all over.
    edge = np.where(part == UPPER_TEETH, ANCHOR[1] - model.fit.upper_edge, 0)
    high = np.where(part == UPPER_TEETH, face[..., 1] - edge, MOUTH.lower_neck)
    neck = smoothstep(*MOUTH.neck, high)[..., None]
    enamel = 1 + (tinted(NECK) / light.tooth - 1) * neck
    canine = np.isin(tooth, MOUTH.canines)[..., None]
    enamel = enamel * np.where(canine, tinted(CANINE) / light.tooth, 1)
    aside = smoothstep(*MOUTH.molars, FRONT - face[..., 2]) * (part == LOWER_TEETH)
    enamel = enamel * (1 - LOWER_MOLARS * aside[..., None])
    colour = np.where(is_tooth[..., None], colour * enamel, colour)
    # The tongue: a groove along the middle, a matt, uneven back.
    groove = 1 - MOUTH.groove * np.exp(-((face[..., 0] / MOUTH.groove_width) ** 2))
    across, back, skew = MOUTH.bump_waves
    rows = np.sin(face[..., 2] * back + face[..., 0] * skew)
    bumps = 1 + MOUTH.bumps * np.sin(face[..., 0] * across) * rows
    return (colour * (1 + ((groove * bumps)[..., None] - 1) * tongue)).astype(np.float32)


def jaw_shift(model: MouthModel, jaw: Array | float) -> Array:
    """(..., 3) where the lower incisors go (IOD, face axes) as the jaw takes the lip `jaw` (...)
    IOD down.
    """
    share = np.asarray(jaw, np.float32)[..., None] / np.float32(FULL_JAW)
    return np.asarray(model.incisors_drop * share, np.float32)


def light_at(deep: Tensor, reach: Tensor | float) -> Tensor:
    """Share of light where depth (IOD) ** FALLOFF behind the incisors' front is `deep`."""
    return DARKEST + (1 - DARKEST) * (deep * -(reach**-FALLOFF)).exp()
