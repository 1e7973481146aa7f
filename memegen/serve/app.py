"""The application: routes, errors and what is around them."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.staticfiles import StaticFiles

from memegen import __version__
from memegen.errors import MemegenError
from memegen.serve import routes_jobs, routes_photos, routes_tables
from memegen.serve.access import Recorder
from memegen.serve.errors import RefusedError, UnknownError, status_of
from memegen.serve.security import Guard, refusal
from memegen.serve.service import Service

MOST_SAID = 200  # characters of what is wrong with a body
ERRORS = {
    400: "what is asked for cannot be; the line says why",
    401: "the token is missing or wrong",
    403: "asked by another site, or under a name that is not this server's",
    404: "there is no such photo, job or recipe; or not any more",
    408: "the body stopped",
    409: "the job has no result",
    413: "more bytes, pixels, frames or seconds than allowed",
    415: "a file of a kind that is not read",
    422: "no face was found, or not the one asked for",
    429: "too much waits already; Retry-After says when to try again",
    500: "the server's fault",
    503: "the server is ending",
}
_SCHEMA = {
    "type": "object",
    "properties": {"error": {"type": "string", "description": "one line"}},
    "required": ["error"],
}


def create_app(service: Service) -> FastAPI:
    """The application of a service: warms its networks at the start, closes it at the end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await service.do(service.engine.warm)
            await service.do(routes_tables.warm)
            if service.settings.photo is not None:
                await service.do(service.first_photo)
        except Exception as error:
            service.problem = error
            raise
        yield
        await asyncio.to_thread(service.close)

    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": {"application/json": {"schema": _SCHEMA}}}
        for status, text in ERRORS.items()
    }
    app = FastAPI(
        title="memegen",
        summary="Turn a photo of a face into an animated meme, controlled by facial action units.",
        version=__version__,
        docs_url=None,  # their pages load scripts of other sites
        redoc_url=None,
        lifespan=lifespan,
        responses=responses,
    )
    app.state.service = service
    for routes in (routes_tables, routes_photos, routes_jobs):
        app.include_router(routes.router)
    _handle_errors(app)
    if service.settings.page is not None:
        app.mount("/", StaticFiles(directory=service.settings.page, html=True), "page")
    app.add_middleware(Guard, settings=service.settings, jobs=service.jobs)
    log = sys.stderr if service.settings.verbose else None
    app.add_middleware(Recorder, metrics=service.metrics, log=log)
    return app


def _handle_errors(app: FastAPI) -> None:
    """Every error is a status and a line of JSON."""

    async def said(_: Request, error: Exception) -> JSONResponse:
        status = status_of(error)
        if status == 500:
            traceback.print_exception(error, file=sys.stderr)
        return refusal(error, status)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return refusal(RefusedError(_first_problem(error)), 400)

    async def of_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, RefusedError):  # while a body was read
            return refusal(error.__cause__, error.__cause__.status)
        if error.status_code == 404:
            return refusal(UnknownError("there is nothing here"), 404)
        response = refusal(RefusedError(str(error.detail)), error.status_code)
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        return response

    async def gone(_: Request, error: Exception) -> JSONResponse:
        return refusal(RefusedError("the client went away"), 400)  # nobody reads it

    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(MemegenError, said)
    app.add_exception_handler(Exception, said)


def _first_problem(error: RequestValidationError) -> str:
    """The first thing that is wrong with a request, in a line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    text = f"{where}: {first['msg']}" if where else str(first["msg"])
    return text[:MOST_SAID]
