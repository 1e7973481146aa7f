"""Errors as HTTP says them: a status, and the one line that the command line would print."""

from __future__ import annotations

from memegen.errors import (
    EncoderError,
    MemegenError,
    NoFaceError,
    UsageError,
    WeightsError,
    in_one_line,
    is_out_of_memory,
)

MOST_CHARACTERS = 500  # of a message: what it repeats of a request may be long


class RefusedError(MemegenError):
    """A request that is refused for what HTTP has a status of its own."""

    status = 400
    headers: tuple[tuple[str, str], ...] = ()


class UnauthorizedError(RefusedError):
    """The token is missing or wrong."""

    status = 401
    headers = (("www-authenticate", "Bearer"),)


class ForbiddenError(RefusedError):
    """Asked by another site's page, or under a name that is not this server's."""

    status = 403


class UnknownError(RefusedError):
    """There is no such photo, job, recipe or page; or not any more."""

    status = 404


class UnfinishedError(RefusedError):
    """The job has no result yet, or never will."""

    status = 409


class SlowError(RefusedError):
    """The body did not come in time."""

    status = 408


class TooLargeError(RefusedError):
    """More bytes, pixels, frames or seconds than the limits allow."""

    status = 413


class WrongTypeError(RefusedError):
    """A file of a kind that is not read here."""

    status = 415


class BusyError(RefusedError):
    """The queue is full."""

    status = 429

    def __init__(self, message: str, after: int = 1) -> None:
        super().__init__(message)
        self.headers = (("retry-after", str(max(1, after))),)  # seconds


class ClosingError(RefusedError):
    """The server is ending."""

    status = 503
    headers = (("retry-after", "10"), ("connection", "close"))


class CancelledError(RefusedError):
    """Somebody cancelled the job, or the server ended before it did."""

    status = 409


def status_of(error: BaseException) -> int:
    """The HTTP status of an error."""
    if isinstance(error, RefusedError):
        return error.status
    if is_out_of_memory(error):
        return 503
    if isinstance(error, NoFaceError):
        return 422
    if isinstance(error, WeightsError | EncoderError):
        return 500
    if isinstance(error, UsageError | MemegenError):
        return 400
    return 500


def line_of(error: Exception) -> str:
    """What a client is told; of what nobody foresaw, its kind: the log has the rest."""
    if isinstance(error, MemegenError) or is_out_of_memory(error):
        text = " ".join(in_one_line(error).replace("`", "").split())
    else:
        text = f"unexpected {type(error).__name__}; the server's log says more (please report it)"
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable if len(printable) <= MOST_CHARACTERS else printable[:MOST_CHARACTERS] + "…"
