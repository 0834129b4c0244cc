"""`nvr clips`: the footage around alarms, as files to hand over and to keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.cli.archive import LAST_US, known_camera, path_on
from nvr.cli.asked import FromOption, ToOption, asked
from nvr.cli.daemon import tell
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.export import export as export_window
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_json_list, print_table, size_text
from nvr.cli.times import duration_text, iso_utc, local_text
from nvr.clock import HostClock
from nvr.rules.words import said_trigger
from nvr.store.clip_snapshots import snapshot_of
from nvr.store.ledger import unrecorded_us
from nvr.store.reader import Reader, open_reader
from nvr.store.rows import Clip, ClipState, Recorded
from nvr.units import US

commands = typer.Typer(help="The footage around alarms.", no_args_is_help=True)

ClipArgument = Annotated[int, typer.Argument(metavar="ID", help="The clip's number, as in the list.", min=1)]
ClipsArgument = Annotated[list[int], typer.Argument(metavar="ID...", help="Numbers of clips, as in the list.", min=1)]

_PAGE: Final = 500
_REASONS: Final = {
    "done": "ended as its rule says",
    "too-long": "ended at its longest time; another goes on from it",
    "clock-step": "ended where this machine's clock was set; another goes on from it",
    "no-footage": "nothing of it was recorded",
    "service-crashed": "cut off when nvr crashed",
    "service-stopped": "cut off when nvr was stopped",
}

_CUT_OFF: Final = {
    "no-footage": "nothing recorded",
    "service-crashed": "cut off by a crash of nvr",
    "service-stopped": "cut off by a stop of nvr",
}


@commands.command(name="list")
def list_(
    camera: Annotated[str | None, typer.Option("--camera", metavar="C", help="Of this camera only.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", metavar="R", help="Of this rule only.")] = None,
    begin: FromOption = None,
    end: ToOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The clips, oldest first: all of them, or those that touch the time asked for."""
    settings = config.load(config.find(config_file))
    start_us, end_us = asked(begin, end, until_us=LAST_US)
    reader = open_reader(settings.data_dir)
    if camera is not None:
        known_camera(reader, settings, camera)
    found = _clips(reader, camera, rule, start_us, end_us)
    if as_json:
        print_json_list(_facts(clip, reader, settings) for clip in found)
    elif not print_table(
        ("clip", "alarm", "camera", "rule", "because", "lasts", "remarks", "file"), _rows(found, reader, settings)
    ):
        note("no clips there")


@commands.command()
def show(clip_id: ClipArgument, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Everything about one clip."""
    settings = config.load(config.find(config_file))
    reader = open_reader(settings.data_dir)
    clip = _known(reader, clip_id)
    if as_json:
        path = _path_of(clip, settings)
        picture = None if path is None or not snapshot_of(path).exists() else str(snapshot_of(path))
        print_json({**_facts(clip, reader, settings), "snapshot": picture})
        return
    for line in _sentences(clip, reader, settings):
        typer.echo(line)


@commands.command()
def export(
    clip_id: ClipArgument,
    out: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The MP4, or ZIP, to write.")],
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Write a ZIP: the MP4, what is known of it, positions, checksums.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it exists.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one clip as an MP4, bit-exact.

    Also one that is still being recorded: then up to what is on disk now. Where the camera's picture changed its size,
    what follows is a second file FILE-2. With --evidence FILE is a ZIP, which anybody can check with sha256sum.
    """
    settings = config.load(config.find(config_file))
    reader = open_reader(settings.data_dir)
    clip = _known(reader, clip_id)
    if evidence:
        _export_evidence(clip, reader, settings, out, force=force, as_json=as_json)
        return
    written = _copied(clip, settings, out, force=force) or _cut(clip, reader, settings, out, force=force)
    if as_json:
        print_json_list(_file_facts(one) for one in written)
        return
    for one in written:
        typer.echo(_file_sentence(one))
    if len(written) > 1:
        note(f"the camera's picture changed, so there are {len(written)} files")
    if clip.state is ClipState.OPEN:
        note(f"clip {clip.id} is still being recorded; this is what is on disk of it now")


@commands.command()
def lock(clip_ids: ClipsArgument, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Keep clips for good: neither they nor their footage are deleted, however old they get."""
    _lock(clip_ids, True, config_file, as_json=as_json)


@commands.command()
def unlock(clip_ids: ClipsArgument, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let clips be deleted again when they are old enough."""
    _lock(clip_ids, False, config_file, as_json=as_json)


# ---- what is told of a clip


def _clips(reader: Reader, camera: str | None, rule: str | None, start_us: int, end_us: int) -> Iterator[Clip]:
    page = reader.clips_between(camera, start_us, end_us, rule=rule, limit=_PAGE)
    while page:
        yield from page
        page = reader.clips_between(camera, start_us, end_us, rule=rule, after=page[-1].id, limit=_PAGE)


def _known(reader: Reader, clip_id: int) -> Clip:
    clip = reader.clip(clip_id)
    if clip is None:
        raise WrongUseError(f"there is no clip {clip_id}; nvr clips list says which there are")
    return clip


def _facts(clip: Clip, reader: Reader, settings: config.Config) -> dict[str, Any]:
    path = _path_of(clip, settings)
    return {
        "id": clip.id,
        "camera": clip.camera,
        "rule": clip.rule,
        "trigger": clip.trigger,
        "alarm_at": iso_utc(clip.alarm_at_us),
        "alarm_since": None if clip.alarm_since_us is None else iso_utc(clip.alarm_since_us),
        "unconnected": clip.unconnected,
        "note": clip.note,
        "start": None if clip.start_us is None else iso_utc(clip.start_us),
        "end": None if clip.end_us is None else iso_utc(clip.end_us),
        "state": clip.state.value,
        "locked": clip.locked,
        "path": None if path is None else str(path),
        "gap_seconds": _gap_us(clip, reader) / US,
        "pre_shortfall_seconds": clip.pre_shortfall_us / US,
        "continues": clip.continues,
    }


def _path_of(clip: Clip, settings: config.Config) -> Path | None:
    """Where its file is; None before it is exported, and where its volume is configured no more."""
    return None if clip.volume is None or clip.path is None else path_on(clip.volume, clip.path, settings)


def _gap_us(clip: Clip, reader: Reader) -> int:
    """What of it was not recorded; of one without a file so far, up to what is in the index."""
    if clip.gap_us is not None:
        return clip.gap_us
    rows = [member.segment.row for member in reader.members_of(clip.id)]
    if clip.start_us is None or not rows:
        return 0
    last_us = max(row.end_us for row in rows)
    end_us = last_us if clip.end_us is None else min(last_us, clip.end_us)
    recorded = [Recorded(row.start_us, row.end_us, clip.epoch) for row in rows]
    spans = reader.spans_between(clip.camera, clip.start_us, end_us)
    return unrecorded_us(recorded, spans, clip.epoch, clip.start_us, end_us)


def _rows(found: Iterator[Clip], reader: Reader, settings: config.Config) -> Iterator[tuple[str, ...]]:
    for clip in found:
        yield (
            str(clip.id),
            local_text(clip.alarm_at_us),
            clip.camera,
            clip.rule,
            said_trigger(clip.trigger),
            _lasts(clip),
            ", ".join(_remarks(clip, _gap_us(clip, reader))),
            str(_path_of(clip, settings) or "") or _why_no_file(clip),
        )


def _lasts(clip: Clip) -> str:
    if clip.start_us is None:
        return ""
    end_us = int(HostClock().utc_us()) if clip.end_us is None else clip.end_us
    return duration_text(max(0, end_us - clip.start_us) / US)


def _remarks(clip: Clip, gap_us: int) -> Iterator[str]:
    if clip.state is ClipState.OPEN:
        yield "being recorded"
    if clip.close_reason in _CUT_OFF:
        yield _CUT_OFF[clip.close_reason]
    if clip.locked:
        yield "locked"
    if clip.continues is not None:
        yield f"goes on from {clip.continues}"
    if clip.unconnected:
        yield "found after the alarm link was down"
    if clip.note is not None:
        yield f'"{clip.note}"'
    if clip.start_us is not None and clip.pre_shortfall_us >= US // 2:
        yield f"begins {duration_text(clip.pre_shortfall_us / US)} late"
    if gap_us:
        yield f"gaps {duration_text(gap_us / US)}"


def _why_no_file(clip: Clip) -> str:
    if clip.path is not None:
        return f"(volume {clip.volume}) {clip.path}"
    if clip.exported_at_us is not None or clip.close_reason == "no-footage":
        return "(no footage)"
    return "(not a file yet)"


def _sentences(clip: Clip, reader: Reader, settings: config.Config) -> Iterator[str]:
    yield f"clip {clip.id}: camera {clip.camera}, rule {clip.rule}, because {said_trigger(clip.trigger)}"
    yield f"alarm    {_alarm(clip)}"
    if clip.note is not None:
        yield f"note     {clip.note}"
    yield f"footage  {_footage(clip)}"
    if clip.pre_shortfall_us:
        yield f"before   {duration_text(clip.pre_shortfall_us / US)} of the seconds wanted before the alarm are missing"
    gap_us = _gap_us(clip, reader)
    if gap_us:
        yield f"gaps     {duration_text(gap_us / US)} of it were not recorded (nvr footage coverage says why)"
    if clip.close_reason is not None:
        yield f"end      {_REASONS.get(clip.close_reason, clip.close_reason)}"
    if clip.continues is not None:
        yield f"begin    it goes on from clip {clip.continues}"
    size = "" if clip.size_bytes is None else f", {size_text(clip.size_bytes)}"
    more = f", in {clip.files} files because the picture changed" if clip.files > 1 else ""
    yield f"file     {_path_of(clip, settings) or _why_no_file(clip)}{size}{more}"
    if clip.path is None and clip.start_us is not None and clip.exported_at_us is None:
        yield f"         nvr clips export {clip.id} -o FILE writes what there is of it so far"
    path = _path_of(clip, settings)
    if path is not None and snapshot_of(path).exists():
        yield f"picture  {snapshot_of(path)}"
    yield f"kept     {'locked: it is never deleted' if clip.locked else 'until it is old enough to be deleted'}"


def _alarm(clip: Clip) -> str:
    at = local_text(clip.alarm_at_us)
    if clip.alarm_since_us is not None:
        return f"between {local_text(clip.alarm_since_us)} and {at}, while the alarm link was down"
    return f"{at}, while the alarm link was down: by the camera's own log" if clip.unconnected else at


def _footage(clip: Clip) -> str:
    if clip.start_us is None:
        return "none yet" if clip.state is ClipState.OPEN else "none"
    if clip.end_us is not None:
        return f"{local_text(clip.start_us)} to {local_text(clip.end_us)} ({_lasts(clip)})"
    until = "the alarm's state ends" if clip.until_us is None else local_text(clip.until_us)
    return f"since {local_text(clip.start_us)}, being recorded until {until}"


# ---- handing one over


@dataclass(frozen=True, slots=True)
class _File:
    """A file that was written."""

    path: Path
    start_us: int
    end_us: int
    frames: int
    gap_us: int


def _copied(clip: Clip, settings: config.Config, out: Path, *, force: bool) -> list[_File]:
    """A copy of the clip's own file; nothing where it has none, or it cannot be found."""
    from nvr.cli.export import copy_files
    from nvr.media import label
    from nvr.store.names import numbered

    path = _path_of(clip, settings)
    if path is None:
        return []
    files = [path.with_name(numbered(path.name, number)) for number in range(1, clip.files + 1)]
    if not all(file.is_file() for file in files):
        note(f"the clip's own file {path} is not there; what is left of its footage is taken")
        return []
    written = []
    for copy, file in zip(copy_files(files, out, force=force), files, strict=True):
        said = label.read(file)
        start_us, end_us = (clip.start_us or 0, clip.end_us or 0) if said is None else (said.start_us, said.end_us)
        frames = 0 if said is None else said.frames
        written.append(_File(copy.path, start_us, end_us, frames, (clip.gap_us or 0) if file is path else 0))
    return written


def _cut(clip: Clip, reader: Reader, settings: config.Config, out: Path, *, force: bool) -> list[_File]:
    """The clip's window, cut from what is on disk of it."""
    if clip.start_us is None:
        raise NotWellError(f"nothing of clip {clip.id} is recorded{' yet' if clip.state is ClipState.OPEN else ''}")
    end_us = clip.end_us
    if end_us is None:
        end_us = int(HostClock().utc_us()) if clip.until_us is None else clip.until_us
    written = export_window(
        reader, settings, clip.camera, clip.start_us, max(end_us, clip.start_us + 1), out, None, force=force
    )
    return [_File(film.path, film.start_us, film.end_us, film.frames, film.gap_us) for film in written.films]


def _export_evidence(
    clip: Clip, reader: Reader, settings: config.Config, out: Path, *, force: bool, as_json: bool
) -> None:
    from nvr.cli.evidence import Film, pack
    from nvr.cli.export import workshop_for

    with workshop_for(out, force=force) as workshop:
        film = workshop.folder / f"{clip.camera}-clip-{clip.id}.mp4"
        written = _copied(clip, settings, film, force=False) or _cut(clip, reader, settings, film, force=False)
        films = [Film(one.path, one.start_us, one.end_us, one.frames) for one in written]
        made = pack(clip, films, reader, settings, workshop, out)
    if as_json:
        print_json({"path": str(made.path.absolute()), "size_bytes": made.size_bytes, "files": made.files})
        return
    typer.echo(f"{made.path}: {', '.join(made.files)}, {size_text(made.size_bytes)}")
    if clip.state is ClipState.OPEN:
        note(f"clip {clip.id} is still being recorded; this is what is on disk of it now")


def _file_facts(one: _File) -> dict[str, Any]:
    return {
        "path": str(one.path.absolute()),
        "start": iso_utc(one.start_us),
        "end": iso_utc(one.end_us),
        "duration_seconds": (one.end_us - one.start_us) / US,
        "frames": one.frames,
        "size_bytes": one.path.stat().st_size,
        "gap_seconds": one.gap_us / US,
    }


def _file_sentence(one: _File) -> str:
    gaps = f", in which a still picture stands for {duration_text(one.gap_us / US)} of gaps" if one.gap_us else ""
    return (
        f"{one.path}: {local_text(one.start_us)} to {local_text(one.end_us)}, "
        f"{one.frames} pictures, {size_text(one.path.stat().st_size)}{gaps}"
    )


# ---- keeping one


def _lock(clip_ids: list[int], locked: bool, config_file: Path | None, *, as_json: bool) -> None:
    """Through the daemon; where none runs, here."""
    settings = config.load(config.find(config_file))
    reader = open_reader(settings.data_dir)
    for clip_id in clip_ids:
        _known(reader, clip_id)  # all or none: a wrong number changes nothing
    for clip_id in clip_ids:
        order = {"clip": clip_id, "locked": locked}
        if tell(settings.data_dir, "/api/v1/clips/lock", order) is None:
            _lock_here(settings, clip_id, locked=locked)
    if as_json:
        print_json_list(_facts(_known(reader, clip_id), reader, settings) for clip_id in clip_ids)
        return
    for clip_id in clip_ids:
        typer.echo(f"clip {clip_id} is {'locked' if locked else 'no longer locked'}")


def _lock_here(settings: config.Config, clip_id: int, *, locked: bool) -> None:
    """As the daemon does it, in its place. Raises StoreBusy where one has started meanwhile."""
    from nvr.media.durable import Disk
    from nvr.store import lock as data_dir_lock
    from nvr.store.clip_locks import put_lock_file
    from nvr.store.index import Index
    from nvr.store.schema import INDEX_NAME

    held = data_dir_lock.hold(settings.data_dir)
    try:
        index = Index(settings.data_dir / INDEX_NAME)
        try:
            reader = Reader(settings.data_dir / INDEX_NAME)
            clip = _known(reader, clip_id)
            reader.close()
            path = _path_of(clip, settings)
            is_there = path is not None and path.parent.is_dir()
            if clip.path is not None and not is_there:
                raise NotWellError(f"volume '{clip.volume}', on which the clip's file lies, is not there; mount it")
            if path is not None and not locked:
                put_lock_file(Disk(), path, locked=False)
            index.lock_clip(clip_id, locked).result()
            if path is not None and locked:
                put_lock_file(Disk(), path, locked=True)
        finally:
            index.close(_PATIENCE_S)
    finally:
        held.release()


_PATIENCE_S: Final = 10.0
