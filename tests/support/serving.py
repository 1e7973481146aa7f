"""A server in this process, with the mesh alone and small sizes."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from support.faces import sample_face

pytest.importorskip("fastapi", reason="the extra [serve] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient, WebSocketDenialResponse

from memegen.serve.app import create_app
from memegen.serve.service import Service
from memegen.serve.settings import Limits, Settings

if TYPE_CHECKING:
    from memegen import Animator

__all__ = ["PlainTextResponse", "TestClient", "WebSocketDenialResponse"]
BASE = "http://127.0.0.1"
SOCKET = "ws://127.0.0.1"
SMALL = Limits(workers=1, queue=2, frames=70, seconds=6, output_side=256, grace_seconds=0.2)


def service_with(animator: Animator, limits: Limits = SMALL, **settings: Any) -> Service:
    """A service of the mesh alone."""
    return Service.of(Settings(limits=limits, model="mesh", **settings), animator)


def client_of(service: Service) -> TestClient:
    """A client that gets 500 for what nobody foresaw, as others do."""
    return TestClient(create_app(service), BASE, raise_server_exceptions=False)


def picture_bytes(image: Image.Image | None = None, form: str = "PNG", **options: Any) -> bytes:
    """A file's bytes of a picture, unless given the sample face at 160 pixels."""
    file = io.BytesIO()
    (image or sample_face().resize((160, 160))).save(file, form, **options)
    return file.getvalue()


def waited(client: TestClient, job: str, seconds: float = 15.0) -> dict[str, Any]:
    """A job's state when it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        said: dict[str, Any] = client.get(f"/jobs/{job}").json()
        if said["state"] in ("done", "failed", "cancelled"):
            return said
        time.sleep(0.02)
    raise AssertionError(f"not ended: {said}")
