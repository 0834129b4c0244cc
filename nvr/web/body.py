"""The body of a request: JSON of a known form, never longer than it may be, and every mistake one sentence."""

from typing import Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

_MOST_BYTES: Final = 64 << 10  # the longest anybody has reason to send is a note of a few hundred characters


class Body(BaseModel):
    """What a request brings: an unknown key is a mistake, and so is "5" where 5 is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


async def with_json(request: Request) -> Request:
    """The request with its body read as JSON. Raises HTTPException; how long it may take is the connection's affair."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of another site can make a browser send any text, but JSON only if it is asked first (CORS).
        raise HTTPException(415, "the body must be JSON, and say so: Content-Type: application/json")
    _refuse_more_than_allowed(int(request.headers.get("content-length", 0)))
    # FastAPI's own max_body_size answers in plain text.
    request = Request(request.scope, _counted(request.receive))
    try:
        await request.json()
    except ClientDisconnect:
        raise HTTPException(400, "the body broke off") from None
    except (ValueError, RecursionError):
        raise HTTPException(422, "the body is wrong: invalid JSON") from None
    return request


def _counted(receive: Receive) -> Receive:
    received_bytes = 0

    async def receive_and_count() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        _refuse_more_than_allowed(received_bytes)
        return message

    return receive_and_count


def _refuse_more_than_allowed(size_bytes: int) -> None:
    if size_bytes > _MOST_BYTES:
        raise HTTPException(413, f"the body is longer than {_MOST_BYTES >> 10} KiB")


def sentence(error: RequestValidationError) -> str:
    """The first mistake; without what was sent, which may be anything."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"][1:]))  # the first says whether it is the body or a header
    if not where:
        return "the body is wrong: input should be an object"
    said = first["msg"].removeprefix("Value error, ")
    return f"{where[:60]!r} is wrong: {said[:1].lower()}{said[1:]}"  # an unknown key may be named anything
