"""`memegen doctor`: whether everything is here that memegen needs."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import typer

from memegen import __version__
from memegen.cli.console import progress, result, tabulate
from memegen.errors import EncoderError, MemegenError, UsageError

PACKAGES = (
    "torch", "torchvision", "facenet-pytorch", "ffmpeg-python", "imageio-ffmpeg", "numpy", "pillow",
    "rich", "typer",
)  # fmt: skip


def doctor() -> None:
    """Check packages, devices, ffmpeg, weights and recipes; says what to do about what is amiss."""
    result(f"memegen {__version__}, Python {platform.python_version()}, {platform.platform()}")
    worst = 0
    packages, checks = [], []
    for package in PACKAGES:
        try:
            packages.append((package, version(package)))
        except PackageNotFoundError:
            packages.append((package, f"is missing: pip install {package}"))
            worst = 1
    tabulate(packages, ("package", "version"))
    with progress("checks") as follow:
        for name, look in follow(CHECKS.items(), len(CHECKS)):
            try:
                checks.append((name, "ok", look()))
            except (MemegenError, ImportError, OSError, RuntimeError) as error:
                checks.append((name, "NOT OK", str(error).splitlines()[0]))
                worst = worst or getattr(error, "exit_code", 1)
    tabulate(checks, ("check", "", "found"))
    if worst:
        raise typer.Exit(worst)


def _devices() -> str:
    import torch

    found = ["cpu"]
    if torch.cuda.is_available():
        found.append(f"cuda ({torch.cuda.get_device_name()})")
    if torch.backends.mps.is_available():
        found.append("mps")
    where = (
        "" if len(found) == 1 else "; networks run there, meshes, drawing and encoding on the cpu"
    )
    return f"{', '.join(found)}{where}; {torch.get_num_threads()} CPU threads"


def _ffmpeg() -> str:
    import subprocess

    from memegen.media.encode import ffmpeg

    run = subprocess.run([ffmpeg(), "-version"], capture_output=True, text=True, check=False)
    if not run.stdout:
        raise EncoderError("ffmpeg does not start")
    return run.stdout.splitlines()[0]


def _weights() -> str:
    from memegen import models
    from memegen.generators import generator_named
    from memegen.geometry.anatomy import load_anatomy
    from memegen.perception.analyze import FaceAnalyzer

    load_anatomy()
    FaceAnalyzer()
    generator_named(models.DEFAULT)
    return f"anatomy, perception, {models.DEFAULT}"


def _detector() -> str:
    import numpy as np

    from memegen.faces.detect import Detector

    list(Detector().rungs(np.zeros((64, 64, 3), np.uint8)))
    return "MTCNN loads and runs"


def _recipes() -> str:
    from memegen import recipes

    for name in recipes.names():
        recipes.load(name)
    return f"{len(recipes.names())} shipped"


def _optional() -> str:
    from memegen.cartoon import animeface
    from memegen.cli.serve import require_extra
    from memegen.cutout.engines import require_engine
    from memegen.media.formats.gif_tools import gifsicle

    try:
        require_engine()
        cutouts = "cut-outs"
    except UsageError:
        cutouts = "no cut-outs (memegen-faces[cutout])"
    drawn = "drawn faces" if animeface.available() else "no drawn faces (memegen-faces[cartoon])"
    try:
        require_extra()
        server = "server"
    except UsageError:
        server = "no server (memegen-faces[serve])"
    return f"{gifsicle() or 'no gifsicle (memegen-faces[gif])'}; {cutouts}; {drawn}; {server}"


CHECKS: dict[str, Callable[[], str]] = {
    "devices": _devices,
    "ffmpeg": _ffmpeg,
    "weights": _weights,
    "face detector": _detector,
    "recipes": _recipes,
    "optional": _optional,
}
