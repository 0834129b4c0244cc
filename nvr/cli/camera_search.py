"""`nvr camera discover`: which cameras are on the networks of this machine, said as configuration."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.camera import discovery
from nvr.camera.discovery import Found, Interface
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json_list
from nvr.jvc.search import ANSWERS_WITHIN_S, PORT

_SLUG_BYTES: Final = 32


def discover(
    seconds: Annotated[
        float, typer.Option(metavar="S", help="How long to listen; cameras take up to 0.7 s.", min=1, max=60)
    ] = ANSWERS_WITHIN_S,
    address: Annotated[
        list[str] | None,
        typer.Option(metavar="A", help="Ask this address instead of broadcasting everywhere; may be given repeatedly."),
    ] = None,
    port: Annotated[int, typer.Option(metavar="P", help="UDP port that cameras listen on.", min=1, max=65535)] = PORT,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search the local networks for cameras, and print them as tables for the configuration.

    Cameras that are configured already are named in a comment. Exit code 1 where none answers.
    """
    known = _known(config_file)
    places = [Interface("-", "0.0.0.0", tuple(address))] if address else _everywhere()  # noqa: S104 - any way out
    note(f"asking on {', '.join(_place(place) for place in places)}, for {seconds:g} s")
    found = _search(places, port, seconds)
    if as_json:
        print_json_list(_facts(camera, known) for camera in found)
    else:
        typer.echo("\n".join(_tables(found, known)), nl=bool(found))
    if not found:
        note("no camera answered; a search does not go through routers: is this machine on the cameras' network?")
        raise typer.Exit(1)


def _known(config_file: Path | None) -> dict[str, str]:
    """The configured cameras' names by host; none where there is no configuration yet."""
    try:
        path = config.find(config_file)
    except config.ConfigError:
        return {}
    return {camera.host: name for name, camera in config.load(path).cameras.items()}


def _everywhere() -> list[Interface]:
    places = discovery.interfaces()
    if not places:
        raise NotWellError("no network interface of this machine can broadcast; name a camera with --address")
    return places


def _search(places: Sequence[Interface], port: int, seconds: float) -> list[Found]:
    def tell(camera: Found) -> None:
        note(f"found {camera.answer.model} at {camera.answer.address}")

    try:
        return asyncio.run(discovery.search(places, port=port, within_s=seconds, on_found=tell))
    except UnicodeError:
        raise WrongUseError(f"an address such as 192.168.0.255 is asked, not {', '.join(places[0].targets)}") from None
    except OSError as trouble:
        raise NotWellError(f"the search could not be sent: {(trouble.strerror or str(trouble)).lower()}") from None


def _place(place: Interface) -> str:
    return f"{place.name} ({place.address})" if place.name != "-" else ", ".join(place.targets)


def _facts(camera: Found, known: dict[str, str]) -> dict[str, Any]:
    return {
        "model": camera.answer.model,
        "host": camera.answer.address,
        "prefix_length": camera.answer.prefix_length,
        "source": camera.source,
        "interface": camera.interface,
        "answers": camera.answers,
        "configured_as": known.get(camera.answer.address),
    }


def _tables(found: Sequence[Found], known: dict[str, str]) -> Iterator[str]:
    names: set[str] = set(known.values())
    for camera in found:
        answer = camera.answer
        network = f"/{answer.prefix_length}" if answer.prefix_length is not None else ""
        heard = f", answered from {camera.source}" if camera.source != answer.address else ""
        yield f"# {answer.model} at {answer.address}{network}{heard}"
        if answer.address in known:
            yield f"# is configured already: [camera.{known[answer.address]}]"
        else:
            name = _free_name(camera, names)
            names.add(name)
            yield f"[camera.{name}]"
            yield f'host = "{answer.address}"'
        yield ""


def _free_name(camera: Found, taken: set[str]) -> str:
    """By address, which is what tells cameras apart before anybody has named them."""
    name = re.sub("[^a-z0-9]+", "-", f"camera-{camera.answer.address}".lower())[:_SLUG_BYTES]
    number = 2
    free = name
    while free in taken:
        free = f"{name[: _SLUG_BYTES - 4]}-{number}"
        number += 1
    return free
