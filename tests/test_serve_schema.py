"""The server against its own OpenAPI, by schemathesis: no request breaks it, answers are as told."""

from __future__ import annotations

from typing import Any

import pytest
from support.serving import BASE, SMALL, picture_bytes, service_with

import memegen
from memegen.serve.app import ERRORS, create_app

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, Phase, settings  # noqa: E402

EXAMPLES = 12  # of each route
QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def schema(mesh: memegen.Animator) -> Any:
    service = service_with(mesh)
    yield schemathesis.openapi.from_asgi("/openapi.json", create_app(service), base_url=BASE, headers={"host": "127.0.0.1"})
    service.close()


lazy = schemathesis.pytest.from_fixture("schema")


@lazy.parametrize()
@QUICK
def test_answers_are_as_told(case: Any) -> None:
    answer = case.call(headers={"host": "127.0.0.1"})
    assert answer.status_code < 500, answer.text
    case.validate_response(answer, headers={"host": "127.0.0.1"})
