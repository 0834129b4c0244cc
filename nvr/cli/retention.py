"""`nvr retention`: what will be deleted when, and by which rule."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.cli.archive import known_camera
from nvr.cli.errors import WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, size_text
from nvr.cli.times import duration_text, iso_utc, local_text, read_iso_utc
from nvr.clock import HostClock
from nvr.store.reader import Reader, open_reader
from nvr.store.retention import Footage, Keep, Kind, Prospect, Room, Rule, prospects
from nvr.store.rows import Camera, Clip, ClipState, Holding
from nvr.units import US

commands = typer.Typer(help="How long footage is kept.", no_args_is_help=True)

_DAY_US: Final = 86_400 * US
_SHORTEST_US: Final = 60 * US  # no rate is made of less


@commands.callback()
def _group() -> None:
    """How long footage is kept."""


@commands.command()
def explain(
    camera: Annotated[str | None, typer.Option("--camera", metavar="C", help="Of this camera only.")] = None,
    clip: Annotated[int | None, typer.Option("--clip", metavar="ID", help="Of this clip.", min=1)] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What will be deleted when, and by which rule; nothing is deleted by asking.

    For every camera: how far back its footage goes, which rules apply to it, and which of them will be met first if
    it goes on as in the last 24 hours. Cameras that are configured no more follow [retention].
    """
    if camera is not None and clip is not None:
        raise WrongUseError("name a camera or a clip, not both")
    settings = config.load(config.find(config_file))
    reader = open_reader(settings.data_dir)
    if clip is not None:
        told_of_clip = _clip_facts(_known_clip(reader, clip), settings)
        if as_json:
            print_json(told_of_clip)
        else:
            typer.echo(told_of_clip["text"])
        return
    known = [known_camera(reader, settings, camera)] if camera is not None else reader.cameras()
    archive = _Archive(reader, settings, int(HostClock().utc_us()))
    told = [_camera_facts(archive, one) for one in known]
    if as_json:
        print_json(told)
        return
    for one in told:
        for line in _sentences(one):
            typer.echo(line)
    if not told:
        note("no camera is known yet; the daemon makes them known when it starts")


# ---- cameras


class _Archive:
    """What the index and the disks say now."""

    def __init__(self, reader: Reader, settings: config.Config, now_us: int) -> None:
        self.reader = reader
        self.settings = settings
        self.now_us = now_us
        self.holdings = reader.holdings()
        self.names = {volume.id: volume.name for volume in reader.volumes()}
        self.slugs = {one.id: one.slug for one in reader.cameras()}
        self.rates = {(one.volume_id, one.camera_id): self._rate(one) for one in self.holdings}
        self.rooms = {
            volume_id: room for volume_id, name in self.names.items() if (room := self._room(volume_id, name))
        }

    def of(self, camera_id: int) -> list[Holding]:
        return [one for one in self.holdings if one.camera_id == camera_id]

    def held_on(self, volume_id: int) -> int:
        return sum(one.size_bytes for one in self.holdings if one.volume_id == volume_id)

    def oldest_on(self, volume_id: int) -> tuple[str, Footage] | None:
        """Whose footage goes first where a volume needs room; None where nothing may."""
        found = []
        for one in self.holdings:
            if one.volume_id == volume_id:
                slug = self.slugs[one.camera_id]
                found += [
                    (slug, footage)
                    for footage in self.oldest(one)
                    if footage.end_us <= self.now_us - self.settings.keep(slug).min_us
                ]
        return min(found, key=lambda pair: pair[1].end_us, default=None)

    def oldest(self, one: Holding) -> list[Footage]:
        """Of a camera on a volume the oldest segment that no clip holds, and the oldest film."""
        return [
            *self.reader.unheld_segments(one.volume_id, one.camera_id, 1),
            *self.reader.oldest_films(one.volume_id, one.camera_id, 1),
        ]

    def _rate(self, one: Holding) -> float:
        """Bytes a second over the last 24 hours, or since it began."""
        if one.oldest_us is None:
            return 0.0
        since_us = max(one.oldest_us, self.now_us - _DAY_US)
        size_bytes = self.reader.newest_bytes(one.volume_id, one.camera_id, since_us)
        return size_bytes * US / max(self.now_us - since_us, _SHORTEST_US)

    def _room(self, volume_id: int, name: str) -> Room | None:
        """None where the volume is configured no more, or away."""
        place = next((volume for volume in self.settings.volumes if volume.name == name), None)
        if place is None:
            return None
        try:
            disk = os.statvfs(place.path)
        except OSError:
            return None
        return Room(
            volume=volume_id,
            size_bytes=disk.f_blocks * disk.f_frsize,
            free_bytes=disk.f_bavail * disk.f_frsize,
            keep_free_bytes=place.keep_free_bytes,
            inodes=disk.f_files,
            free_inodes=disk.f_favail,
            quota_bytes=place.quota,
            rate_bytes_s=sum(rate for (on, _), rate in self.rates.items() if on == volume_id),
        )


@dataclass(frozen=True, slots=True)
class _Story:
    """One camera's."""

    keep: Keep
    holdings: Sequence[Holding]
    oldest: Footage | None
    found: Sequence[Prospect]
    rate_bytes_s: float

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.holdings)

    @property
    def oldest_us(self) -> int | None:
        return min((one.oldest_us for one in self.holdings if one.oldest_us is not None), default=None)


def _story(archive: _Archive, camera: Camera) -> _Story:
    own = archive.of(camera.id)
    keep = archive.settings.keep(camera.slug)
    oldest: dict[Kind, Footage] = {}
    for one in (one for on in own for one in archive.oldest(on)):
        oldest[one.kind] = min(one, oldest.get(one.kind, one), key=lambda each: each.start_us)
    rate = sum(archive.rates[on.volume_id, camera.id] for on in own)
    rooms = [
        (archive.rooms[on.volume_id], archive.held_on(on.volume_id)) for on in own if on.volume_id in archive.rooms
    ]
    found = prospects(archive.now_us, keep, list(oldest.values()), sum(on.size_bytes for on in own), rate, rooms)
    return _Story(keep, own, oldest.get(Kind.SEGMENT), found, rate)


def _camera_facts(archive: _Archive, camera: Camera) -> dict[str, Any]:
    story = _story(archive, camera)
    rules = [_rule_facts(archive, camera, story, one) for one in story.found]
    return {
        "camera": camera.slug,
        "configured": camera.slug in archive.settings.cameras,
        "footage_bytes": sum(one.segment_bytes for one in story.holdings),
        "clip_bytes": sum(one.clip_bytes for one in story.holdings),
        "film_bytes": sum(one.film_bytes for one in story.holdings),
        "bytes_per_day": round(story.rate_bytes_s * 86_400),
        "oldest": None if story.oldest_us is None else iso_utc(story.oldest_us),
        "held": story.oldest_us is not None and (story.oldest is None or story.oldest.start_us > story.oldest_us),
        "min_days": story.keep.min_us / _DAY_US,
        "max_days": story.keep.max_us / _DAY_US,
        "clip_days": story.keep.clip_us / _DAY_US,
        "keep_days": None if story.keep.film_us is None else story.keep.film_us / _DAY_US,
        "quota_bytes": story.keep.quota_bytes,
        "rules": rules,
    }


def _rule_facts(archive: _Archive, camera: Camera, story: _Story, one: Prospect) -> dict[str, Any]:
    return {
        "rule": one.rule.value,
        "volume": None if one.volume is None else archive.names[one.volume],
        "at": None if one.at_us is None else iso_utc(one.at_us),
        "text": _rule_text(archive, camera, story, one),
    }


def _rule_text(archive: _Archive, camera: Camera, story: _Story, one: Prospect) -> str:
    if one.rule in (Rule.MAX_DAYS, Rule.KEEP_DAYS):
        key, what = one.rule.value.replace("-", "_"), "films of days are" if one.kind is Kind.FILM else "footage is"
        old = f"when {'they are' if one.kind is Kind.FILM else 'it is'} {_days(story.keep.law(one.kind)[1])} old"
        return f"{key}: {what} deleted {old}; the oldest goes {_at(one.at_us, archive.now_us)}"
    when = _from(one.at_us, archive.now_us)
    if one.rule is Rule.QUOTA_CAMERA:
        used, quota = size_text(story.size_bytes), size_text(story.keep.quota_bytes or 0)
        return f"quota of the camera: {used} of {quota} are used; {when} its oldest goes for its newest"
    room = archive.rooms[one.volume or 0]
    name, going = archive.names[room.volume], archive.oldest_on(room.volume)
    first = "nothing on it may go" if going is None else f"the oldest on it goes first, now that of {going[0]}"
    if one.rule is Rule.QUOTA_VOLUME:
        used, quota = size_text(archive.held_on(room.volume)), size_text(room.quota_bytes or 0)
        return f"quota of volume '{name}': {used} of {quota} are used; {when} {first}"
    free, keep_free = size_text(room.free_bytes), size_text(room.keep_free_bytes)
    return f"keep_free of volume '{name}': {free} are free, {keep_free} are to stay free; {when} {first}"


def _sentences(told: dict[str, Any]) -> Iterator[str]:
    size = size_text(told["footage_bytes"] + told["clip_bytes"] + told["film_bytes"])
    gone = "" if told["configured"] else ", configured no more"
    if told["oldest"] is None:
        films = f" but films of days ({size_text(told['film_bytes'])})" if told["film_bytes"] else ""
        yield f"camera '{told['camera']}'{gone}: no footage{films}"
    else:
        back = local_text(read_iso_utc(told["oldest"]))
        yield (
            f"camera '{told['camera']}'{gone}: {size}, back to {back}, {size_text(told['bytes_per_day'])} a day lately"
        )
    if told["held"]:
        yield "  the oldest of it is held by clips that are locked or not yet files, and stays"
    for number, one in enumerate(told["rules"]):
        yield f"  {'first, ' if number == 0 and one['at'] else ''}{one['text']}"
    if told["min_days"]:
        yield (
            f"  min_days: what is younger than {told['min_days']:g} days goes only where nothing else is left on a "
            "full disk, and nvr says so then"
        )
    if told["film_bytes"]:
        yield "  films: where room is short the film of a day goes after that day's footage"
    yield f"  clips: their files are deleted when they are {told['clip_days']:g} days old; locked ones stay"


# ---- clips


def _known_clip(reader: Reader, number: int) -> Clip:
    clip = reader.clip(number)
    if clip is None:
        raise WrongUseError(f"there is no clip {number}; nvr clips list says which there are")
    return clip


def _clip_facts(clip: Clip, settings: config.Config) -> dict[str, Any]:
    keep = settings.keep(clip.camera)
    waits = clip.exported_at_us is None and settings.recording.export_clips
    at_us = None if clip.locked or clip.end_us is None or waits else clip.end_us + keep.clip_us
    return {
        "clip": clip.id,
        "camera": clip.camera,
        "locked": clip.locked,
        "rule": None if at_us is None else Rule.CLIP_DAYS.value,
        "at": None if at_us is None else iso_utc(at_us),
        "text": f"clip {clip.id} of camera '{clip.camera}' {_clip_fate(clip, keep, at_us, waits=waits)}",
    }


def _clip_fate(clip: Clip, keep: Keep, at_us: int | None, *, waits: bool) -> str:
    if clip.locked:
        return "is locked: neither it nor the footage it was cut from is deleted"
    if clip.state is ClipState.OPEN:
        return "is still being recorded, and its footage is held"
    if waits:
        return "is not a file yet: the footage of it is held until it is"
    when = _at(at_us, int(HostClock().utc_us()))
    return (
        f"is deleted {when}, when it is {_days(keep.clip_us)} old (clip_days); sooner only where a quota or a full "
        "disk finds no other footage old enough to go. nvr clips lock keeps it for good"
    )


# ---- words


def _at(at_us: int | None, now_us: int) -> str:
    if at_us is None:
        return "not at the present rate"
    return "now" if at_us <= now_us else f"on {local_text(at_us)}, in {duration_text((at_us - now_us) / US)}"


def _from(at_us: int | None, now_us: int) -> str:
    if at_us is None:
        return "not reached at the present rate; then"
    if at_us <= now_us:
        return "reached:"
    return f"reached on {local_text(at_us)}, in {duration_text((at_us - now_us) / US)}; then"


def _days(us: int) -> str:
    days = us / _DAY_US
    return f"{days:g} day{'' if days == 1 else 's'}"
