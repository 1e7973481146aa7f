"""The server against its own OpenAPI, by schemathesis: no request breaks it, answers are as told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from support.paths import ROOT
from support.serving import service_with

import memegen
from memegen.serve.app import create_app

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

EXAMPLES = int(os.environ.get("EXAMPLES", "15"))  # of each route
QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ROUTES = (
    "GET /health", "GET /metrics", "GET /recipes", "GET /recipes/{name}", "POST /recipes/check",
    "POST /recipes/yaml", "GET /aus/table", "GET /formats", "POST /photos", "GET /photos/sample",
    "GET /photos/{id}/picture", "DELETE /photos/{id}", "POST /photos/{id}/render", "POST /animate",
    "POST /transfer", "POST /aus", "GET /jobs/{id}", "GET /jobs/{id}/result", "DELETE /jobs/{id}",
)  # fmt: skip


@pytest.fixture(scope="module")
def schema(mesh: memegen.Animator) -> Iterator[Any]:
    service = service_with(mesh, names=("testserver",))  # as its client calls it
    app = create_app(service)
    torch.set_flush_denormal(False)  # of this thread: hypothesis makes such numbers

    async def kept_open(scope: Any, receive: Any, send: Any) -> None:
        """The application, which its client would begin and end for every request."""
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    yield schemathesis.openapi.from_asgi("/openapi.json", kept_open)
    torch.set_flush_denormal(True)
    service.close()


def operations(schema: Any) -> dict[str, Any]:
    found = [result.ok() for result in schema.get_all_operations()]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


def test_every_route_is_told(schema: Any) -> None:
    assert set(operations(schema)) == set(ROUTES)


def test_every_route_is_documented_with_a_line_of_curl() -> None:
    text = (ROOT / "docs" / "server.md").read_text()
    for route in ROUTES:
        method, path = route.split()
        shown = path.replace("{id}", "ID").replace("{name}", "NAME")
        assert f"`{method} {shown}" in text, route
        word = {"{id}": "$", "{name}": "smile"}
        asked = [word.get(part, part) for part in path.split("/")[1:]]
        lines = [line for line in text.split("```sh")[2].splitlines() if "localhost:8000/" in line]
        assert any(
            all(part in line for part in asked) and ("DELETE" in line) == (method == "DELETE")
            for line in lines
        ), route


@pytest.mark.parametrize("route", ROUTES)
def test_answers_are_as_told(schema: Any, route: str) -> None:
    @given(case=operations(schema)[route].as_strategy())
    @QUICK
    def asked(case: Any) -> None:
        # What a file or a recipe holds, no schema says: most that are made at random are refused.
        case.validate_response(case.call(), excluded_checks=[positive_data_acceptance])

    asked()
