"""The body of a request: JSON of a known form, never longer than it may be, and every mistake one sentence."""

from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request

_MOST_BYTES: Final = 64 << 10  # the longest anybody has reason to send is a note of a few hundred characters


class Body(BaseModel):
    """What a request brings: an unknown key is a mistake, and so is "5" where 5 is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


BodyT = TypeVar("BodyT", bound=Body)


class BadBody(Exception):
    """The body is not what this path takes. `str()` is one sentence, `code` the status that goes with it."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


async def read(request: Request, form: type[BodyT]) -> BodyT:
    """The request's body in this form. Raises BadBody; how long it may take is the connection's affair."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of another site can make a browser send any text, but JSON only if it is asked first (CORS).
        raise BadBody(415, "the body must be JSON, and say so: Content-Type: application/json")
    try:
        return form.model_validate_json(await _bytes(request))
    except ValidationError as error:
        raise BadBody(422, _sentence(error)) from None


async def _bytes(request: Request) -> bytes:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                raise BadBody(413, f"the body is longer than {_MOST_BYTES >> 10} KiB")
    except ClientDisconnect:
        raise BadBody(400, "the body broke off") from None
    return bytes(body)


def _sentence(error: ValidationError) -> str:
    """The first mistake; without what was sent, which may be anything."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ")
    named = repr(where[:60]) if where else "the body"  # an unknown key may be named anything
    return f"{named} is wrong: {said[:1].lower()}{said[1:]}"
