"""Routes of photos: sent, looked at, previewed live, forgotten."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from memegen.errors import UsageError
from memegen.media.encode import flatten
from memegen.serve.asked import CaptionsBody, PhotoForm, PreviewMessage
from memegen.serve.errors import BusyError, TooLargeError, line_of
from memegen.serve.photos import StoredPhoto, reduced
from memegen.serve.preview import Look, Newest, answer, jpeg, painted
from memegen.serve.routes_tables import service_of
from memegen.serve.service import Service
from memegen.serve.uploads import picture_of

router = APIRouter()
NO_CAPTIONS = CaptionsBody()
JPEG_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("/photos")
async def send_photo(
    request: Request, form: Annotated[PhotoForm, Form(media_type="multipart/form-data")]
) -> dict[str, Any]:
    """Keep a photo in memory for a while; tells its faces, largest first."""
    service, data = service_of(request), await form.photo.read()

    def kept() -> StoredPhoto:
        return service.keep(picture_of(data, service.settings.limits))

    return (await service.do(kept)).about()


@router.get("/photos/sample")
async def sample(request: Request) -> dict[str, Any]:
    """The photo to begin with."""
    service = service_of(request)
    return (await service.do(service.first_photo)).about()


@router.get("/photos/{id}/picture", response_class=Response, responses=JPEG_RESPONSE)
async def picture(
    request: Request,
    id: str,  # noqa: A002
    side: Annotated[int, Query(ge=16, le=8192)] = 640,
) -> Response:
    """The photo as it is, its longest side at most so many pixels."""
    service = service_of(request)
    stored = service.photos.get(id)

    def made() -> bytes:
        return jpeg(flatten(reduced(stored.photo, [], side)[0].channels()))

    return Response(await service.do(made), media_type="image/jpeg")


@router.delete("/photos/{id}", status_code=204)
async def forget(request: Request, id: str) -> Response:  # noqa: A002
    """Forget a photo now."""
    service_of(request).photos.remove(id)
    return Response(status_code=204)


@router.websocket("/photos/{id}/preview")
async def preview(socket: WebSocket, id: str) -> None:  # noqa: A002
    """Pictures of a photo, one for the newest message that waits; see docs/server.md."""
    service: Service = socket.app.state.service
    await socket.accept()
    if service.previews >= service.settings.limits.previews:
        await _tell(socket, 0, BusyError("too many previews are open; try again later"))
        await socket.close(1013)
        return
    service.previews += 1
    newest = Newest()
    painter = asyncio.create_task(_paint(socket, service, id, newest))
    try:
        while True:
            text = await socket.receive_text()
            newest.put(text)
    except WebSocketDisconnect:
        pass
    except KeyError:  # bytes, where text was due
        await _tell(socket, 0, UsageError("a message is JSON as text, not bytes"))
        await socket.close(1003)
    finally:
        service.previews -= 1
        painter.cancel()


async def _paint(socket: WebSocket, service: Service, id_: str, newest: Newest) -> None:
    """Answer the newest message, then the one that is the newest then."""
    while True:
        text, seq = await newest.take(), 0
        began = time.perf_counter()
        try:
            message = _message(text, service.settings.limits.message_bytes)
            seq = message.seq
            stored = service.photos.get(id_)
            data = await service.paint(partial(_picture, service, stored, message))
            await socket.send_bytes(answer(seq, data))
            service.metrics.time("memegen_preview_seconds", time.perf_counter() - began)
        except (WebSocketDisconnect, RuntimeError):  # it went away meanwhile
            return
        except Exception as error:
            await _tell(socket, seq, error)


def _picture(service: Service, stored: StoredPhoto, message: PreviewMessage) -> bytes:
    """What a message asks for, as JPEG."""
    captions = (message.captions or NO_CAPTIONS).options()
    faces = None if message.face == "all" else (int(message.face),)
    look = Look(faces, message.expression, captions, message.intensity)
    ready = service.photos.prepared(stored, message.side, service.engine.animator)
    return jpeg(painted(ready, look))


def _message(text: str, most: int) -> PreviewMessage:
    if len(text) > most:
        raise TooLargeError(f"a message of more than {most / 1e3:.0f} kB")
    try:
        return PreviewMessage.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {first['msg']}" if where else first["msg"]) from None


async def _tell(socket: WebSocket, seq: int, error: Exception) -> None:
    await socket.send_text(json.dumps({"seq": seq, "error": line_of(error)}))
