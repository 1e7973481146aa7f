"""Bodies of requests: what may be in them, and within what ranges."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from memegen import recipes
from memegen.batch.jobs import MOST_INTENSITY, Settings
from memegen.captions.caption import MOST_CHARACTERS
from memegen.captions.options import CaptionOptions
from memegen.serve.recipe_json import check_font

MOST_SEQ = 2**32 - 1  # it is sent back in four bytes
MOST_UNITS = 120  # action units of an expression: there are not so many names
WORD = 200  # characters of a name
Word = Annotated[str, Field(max_length=WORD)]
Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Expression = Annotated[dict[Word, Number], Field(max_length=MOST_UNITS)]
Intensity = Annotated[float, Field(ge=0, le=MOST_INTENSITY, allow_inf_nan=False)]
Fps = Annotated[float, Field(ge=1, le=recipes.MAX_FPS, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0.1, le=recipes.MAX_SECONDS, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=16, le=8192)]


class _Body(BaseModel):
    """Unknown keys are errors: a misspelt one would be left out silently."""

    model_config = ConfigDict(extra="forbid")


class CaptionsBody(_Body):
    """Texts on the picture, as the options of the same names."""

    top: Text | None = None
    bottom: Text | None = None
    caption: Text | None = None
    caption_at: Literal["above", "below"] = "above"
    style: Word | None = None
    font: Word | None = None

    def options(self) -> CaptionOptions:
        """As the library takes them. Raises UsageError."""
        check_font(self.font)
        made = CaptionOptions(
            self.top, self.bottom, self.caption, self.caption_at, self.style, self.font
        )
        made.check()
        return made


class PreviewMessage(_Body):
    """What a preview's client sends."""

    seq: Annotated[int, Field(ge=0, le=MOST_SEQ)] = 0
    face: Annotated[int, Field(ge=0, le=1000)] | Literal["all"] = 0
    expression: Expression = Field(default_factory=dict)
    side: Side = 512
    intensity: Intensity = 1.0
    captions: CaptionsBody | None = None


class RecipeBody(_Body):
    """A recipe, with the structure of its YAML; what is in it is checked as YAML is."""

    name: Word = "recipe"
    description: Text = ""
    fps: Number = 25.0
    loop: Word = "boomerang"
    relative: bool = False
    keyframes: Annotated[list[dict[str, Any]], Field(max_length=500)]
    captions: Annotated[list[dict[str, Any]], Field(max_length=20)] | None = None


class RenderBody(_Body):
    """What of a stored photo is rendered, and how."""

    recipe: RecipeBody | Word = "smile"
    face: Annotated[int, Field(ge=0, le=1000)] | Literal["all"] = 0
    format: Word | None = None
    platform: Word | None = None
    side: Side | None = None
    intensity: Intensity = 1.0
    fps: Fps | None = None
    duration: Seconds | None = None
    max_size: Word | None = None
    loop: bool | None = None
    crop: Word | None = None
    captions: CaptionsBody | None = None


class _FileForm(BaseModel):
    """What forms that make a file share: options of the command line of the same names."""

    face: Word = "largest"
    intensity: Intensity = 1.0
    fps: Fps | None = None
    size: Side | None = None
    format: Word | None = None
    platform: Word | None = None
    max_size: Word | None = None
    loop: bool | None = None
    crop: Word | None = None
    cutout: Word | None = None
    top: Text | None = None
    bottom: Text | None = None
    caption: Text | None = None
    caption_at: Literal["above", "below"] = "above"
    caption_style: Word | None = None
    font: Word | None = None
    mark: Word | None = None
    wait: bool = True

    def settings(self, **more: Any) -> Settings:
        """As batches have them; what the platform asks for included. Raises UsageError."""
        check_font(self.font)
        names = set(_FileForm.model_fields) - {"wait"}
        made = Settings(**{name: getattr(self, name) for name in names}, **more).on_platform()
        made.check()
        return made


class AnimateForm(_FileForm):
    """`POST /animate`."""

    photo: UploadFile
    recipe: Word = "smile"
    au: Text | None = None
    recipe_yaml: Annotated[str, Field(max_length=500_000)] | None = None
    duration: Seconds | None = None
    still: bool = False
    relative: bool = True


class TransferForm(_FileForm):
    """`POST /transfer`."""

    source: UploadFile
    target: UploadFile
    only: Word = "mouth,eyes,brows,head,gaze"
    relative: bool | None = None
    neutral_frame: Annotated[int, Field(ge=0, le=100_000)] | None = None
    smooth: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] = 1.0
    gain: Text | None = None
    detail: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0
    head: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    target_face: Annotated[int, Field(ge=1, le=1000)] = 1
    start: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 0.0
    end: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] | None = None
    speed: Annotated[float, Field(ge=0.1, le=10, allow_inf_nan=False)] = 1.0
    boomerang: bool = False


class PhotoForm(BaseModel):
    """A photo alone."""

    photo: UploadFile
