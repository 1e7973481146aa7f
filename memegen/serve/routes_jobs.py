"""Routes that make files, at once or as jobs, and those of jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import JSONResponse

from memegen import aus
from memegen.batch.jobs import Settings as FileSettings
from memegen.performance.retarget import RetargetOptions, parse_parts
from memegen.recipes import Recipe
from memegen.serve import recipe_json
from memegen.serve.animations import (
    TYPES,
    Rendering,
    SeenPhoto,
    StoredAnimation,
    UploadedAnimation,
    chosen_faces,
)
from memegen.serve.asked import AnimateForm, PhotoForm, RenderBody, TransferForm
from memegen.serve.jobs import Result, Work
from memegen.serve.photos import face_json
from memegen.serve.routes_tables import service_of
from memegen.serve.service import Service
from memegen.serve.timelines import Timeline, recipe_of_units, recipes_named
from memegen.serve.transfers import Excerpt, ReadUnits, Transfer
from memegen.serve.uploads import is_moving, picture_of

router = APIRouter()
MULTIPART = "multipart/form-data"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
FILE_OR_JOB: dict[int | str, dict[str, Any]] = {
    200: {"description": "the file", "content": dict.fromkeys(TYPES.values(), _BINARY)},
    202: {"description": 'the job, where `wait` is false: {"job": id}'},
}


@router.post("/photos/{id}/render", status_code=202)
async def render(request: Request, id: str, body: RenderBody) -> dict[str, str]:  # noqa: A002
    """Have a stored photo play a recipe; tells the job."""
    service = service_of(request)
    work = await service.do(partial(_stored_animation, service, id, body))
    return {"job": service.jobs.submit(work).id}


@router.post("/animate", response_class=Response, responses=FILE_OR_JOB)
async def animate(
    request: Request, form: Annotated[AnimateForm, Form(media_type=MULTIPART)]
) -> Response:
    """Animate an uploaded photo, or change the expression in a clip; see `memegen animate`."""
    service, data = service_of(request), await form.photo.read()
    work = await service.do(partial(_uploaded_animation, service, form, data))
    return await _answer(request, Queued(work, len(data), form.wait))


@router.post("/transfer", response_class=Response, responses=FILE_OR_JOB)
async def transfer(
    request: Request, form: Annotated[TransferForm, Form(media_type=MULTIPART)]
) -> Response:
    """Make a photo or clip copy another's expression; see `memegen transfer`."""
    service = service_of(request)
    source, target = await form.source.read(), await form.target.read()
    work = await service.do(partial(_transfer, service, form, source, target))
    return await _answer(request, Queued(work, len(source) + len(target), form.wait))


@router.post("/aus")
async def read_units(
    request: Request, form: Annotated[PhotoForm, Form(media_type=MULTIPART)]
) -> Any:
    """Intensities 0..5 of all faces of a photo, or of the largest one over a clip's frames."""
    service, data = service_of(request), await form.photo.read()
    limits = service.settings.limits
    if is_moving(data):
        work = ReadUnits(service.engine, limits, data)
        return _file(await service.finished(work, request, len(data)))

    def seen() -> list[dict[str, Any]]:
        faces = service.engine.faces(picture_of(data, limits))
        return [face_json(index, face) for index, face in enumerate(faces)]

    return JSONResponse({"faces": await service.do(seen)})


@router.get("/jobs/{id}")
async def job_state(request: Request, id: str) -> dict[str, Any]:  # noqa: A002
    """How far a job is."""
    return service_of(request).jobs.get(id).about()


@router.get("/jobs/{id}/result", response_class=Response, responses={200: FILE_OR_JOB[200]})
async def job_result(request: Request, id: str) -> Response:  # noqa: A002
    """What a job made."""
    return _file(service_of(request).jobs.result(id))


@router.delete("/jobs/{id}")
async def cancel_job(request: Request, id: str) -> dict[str, Any]:  # noqa: A002
    """Cancel a job; one that ended is forgotten."""
    return service_of(request).jobs.cancel(id).about()


def _stored_animation(service: Service, id_: str, body: RenderBody) -> Work:
    """The job of a body. What can be refused before any work is refused here, in a thread: long
    recipes take seconds to read, and fonts are looked for.
    """
    stored, limits = service.photos.get(id_), service.settings.limits
    made = Rendering(service.engine, limits, _settings_of(body))
    recipes: tuple[Recipe, ...]
    if isinstance(body.recipe, str):
        recipes = recipes_named(body.recipe)
    else:
        recipes = (recipe_json.from_json(body.recipe.model_dump()),)
    timeline = Timeline(recipes, body.fps, body.duration, body.loop)
    timeline.check(limits)
    made.check()
    seen = SeenPhoto(stored.photo, chosen_faces(stored.faces, body.face))
    return StoredAnimation(made, timeline, seen)


def _uploaded_animation(service: Service, form: AnimateForm, data: bytes) -> Work:
    """The job of a form; as above."""
    settings = form.settings(duration=form.duration, still=form.still)
    made = Rendering(service.engine, service.settings.limits, settings)
    recipes: tuple[Recipe, ...]
    if form.recipe_yaml is not None:
        recipes = (recipe_json.from_yaml(form.recipe_yaml),)
    elif form.au is not None:
        recipes = (recipe_of_units(form.au),)
    else:
        recipes = recipes_named(form.recipe)
    timeline = Timeline(recipes, form.fps, form.duration, form.loop)
    timeline.check(made.limits)
    made.check(form.still)
    return UploadedAnimation(made, timeline, data, form.relative)


def _transfer(service: Service, form: TransferForm, source: bytes, target: bytes) -> Work:
    """The job of a form; as above."""
    made = Rendering(service.engine, service.settings.limits, form.settings())
    made.check()
    excerpt = Excerpt(form.target_face, form.start, form.end, form.speed, form.boomerang, form.fps)
    excerpt.check()
    options = RetargetOptions(
        neutral_frame=form.neutral_frame,
        only=parse_parts(form.only),
        smoothing=form.smooth,
        gains=aus.parse_factors(form.gain, "gain") if form.gain else {},
        head=1.0 if form.head is None else form.head,
        detail=form.detail,
    )
    moves_head = form.head is not None
    return Transfer(made, source, target, excerpt, options, form.relative, moves_head)


def _settings_of(body: RenderBody) -> FileSettings:
    plain = FileSettings(
        intensity=body.intensity,
        fps=body.fps,
        duration=body.duration,
        size=body.side,
        max_size=body.max_size,
        loop=body.loop,
        crop=body.crop,
        platform=body.platform,
        format=body.format,
    )
    if body.captions is not None:
        said = body.captions.options()
        plain = replace(
            plain,
            top=said.top,
            bottom=said.bottom,
            caption=said.caption,
            caption_at=said.caption_at,
            caption_style=said.caption_style,
            font=said.font,
        )
    settings = plain.on_platform()
    settings.check()
    return settings


@dataclass(frozen=True)
class Queued:
    """A job to be, the bytes of uploads that it holds, and whether its client waits."""

    work: Work
    size: int
    wait: bool


async def _answer(request: Request, queued: Queued) -> Response:
    """The file, or the job that makes it."""
    service = service_of(request)
    if not queued.wait:
        return JSONResponse({"job": service.jobs.submit(queued.work, queued.size).id}, 202)
    return _file(await service.finished(queued.work, request, queued.size))


def _file(result: Result) -> Response:
    headers = {"content-disposition": f'attachment; filename="{result.name}"'}
    return Response(result.data, media_type=result.type, headers=headers)
