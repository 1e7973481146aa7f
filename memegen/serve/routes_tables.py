"""Routes of what does not depend on any photo: health, recipes, action units, formats."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import PlainTextResponse

from memegen import __version__, aus, recipes
from memegen.errors import UsageError
from memegen.media.formats import FORMATS
from memegen.media.platforms import platforms
from memegen.serve import recipe_json
from memegen.serve.asked import RecipeBody
from memegen.serve.metrics import CONTENT_TYPE
from memegen.serve.service import Service
from memegen.serve.timelines import recipe_named

router = APIRouter()
YAML_TYPE = "text/yaml; charset=utf-8"
_TEXT = {
    "requestBody": {"required": True, "content": {"text/yaml": {"schema": {"type": "string"}}}}
}


def service_of(request: Request) -> Service:
    """The state of the server that a request came to."""
    service: Service = request.app.state.service
    return service


@router.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """Whether the server takes work, and how much of it waits."""
    service = service_of(request)
    status = "closing" if service.jobs.closing else "ok"
    return {
        "status": status,
        "version": __version__,
        "model": service.settings.model,
        "queue": len(service.jobs),
    }


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Counts and times, for Prometheus."""
    service = service_of(request)
    return Response(service.metrics.text(service.gauges()), media_type=CONTENT_TYPE)


@router.get("/recipes")
async def list_recipes() -> list[dict[str, Any]]:
    """The shipped recipes, and the seconds of a cycle of each."""
    return list(_recipes())


@router.get("/recipes/{name}")
async def show_recipe(name: str) -> dict[str, Any]:
    """A shipped recipe, as JSON and as the YAML that it is."""
    recipe = recipe_named(name)
    return recipe_json.as_json(recipe) | {"yaml": recipes.read(name)}


@router.post("/recipes/check", openapi_extra=_TEXT)
async def check_recipe(request: Request) -> dict[str, Any]:
    """Whether YAML is a recipe: the recipe as JSON, and as it would be written."""
    try:
        text = (await request.body()).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError("recipe: not UTF-8 text") from None

    def checked() -> dict[str, Any]:
        said = recipe_json.as_json(recipe_json.from_yaml(text))
        return {"recipe": said, "yaml": recipe_json.yaml_of(said)}

    return await service_of(request).do(checked)  # long ones take seconds


@router.post(
    "/recipes/yaml",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/yaml": {"schema": {"type": "string"}}}}},
)
async def write_recipe(request: Request, recipe: RecipeBody) -> Response:
    """The YAML of a recipe, which `memegen recipes check` accepts."""

    def written() -> str:
        made = recipe_json.from_json(recipe.model_dump())
        return recipe_json.yaml_of(recipe_json.as_json(made))

    return Response(await service_of(request).do(written), media_type=YAML_TYPE)


@router.get("/aus/table")
async def table() -> list[dict[str, Any]]:
    """The action units, in the order of the table."""
    return list(_units())


@router.get("/formats")
async def formats() -> list[dict[str, Any]]:
    """What files can be, and the platforms that want each."""
    return list(_formats())


def warm() -> None:
    """Read the tables once, so that no request waits for it."""
    _recipes(), _units(), _formats()


@lru_cache(maxsize=1)
def _recipes() -> tuple[dict[str, Any], ...]:
    found = []
    for name in recipes.names():
        recipe = recipes.load(name)
        seconds = round(recipe.cycle, 3)
        found.append({"name": name, "description": recipe.description, "seconds": seconds})
    return tuple(found)


@lru_cache(maxsize=1)
def _units() -> tuple[dict[str, Any], ...]:
    other = dict(aus.OPPOSITES) | {b: a for a, b in aus.OPPOSITES}
    return tuple(
        {
            "number": unit.number,
            "name": unit.name,
            "facs": unit.facs_name.capitalize(),
            "moves": unit.moves,
            "sides": unit.sides != "none",
            "group": unit.group,
            "most": aus.MAX_INTENSITY,
            "opposite": other.get(unit.name),
            "channels": list(unit.channels),
        }
        for unit in aus.TABLE
    )


@lru_cache(maxsize=1)
def _formats() -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "name": form.name,
            "suffix": form.suffix,
            "animated": form.animated,
            "platforms": [p.name for p in platforms().values() if p.output is form],
        }
        for form in FORMATS
    )
