"""`nvr db`: whether index and files keep their promises, copies of the index, and a new index from the files."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from nvr import config
from nvr.cli.daemon import ask, tell
from nvr.cli.errors import NotWellError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_table, progress, size_text
from nvr.cli.times import iso_utc
from nvr.clock import HostClock
from nvr.store import lock
from nvr.store.connections import wal_path
from nvr.store.errors import VolumeMissing
from nvr.store.reader import Reader, open_reader
from nvr.store.schema import INDEX_NAME

if TYPE_CHECKING:
    from nvr.store.check import Finding
    from nvr.store.index import Index
    from nvr.store.recovery import Place
    from nvr.store.repair import Repair, Repairer

commands = typer.Typer(help="Index and files: check, copy, make anew.", no_args_is_help=True)

_PATIENCE_S: Final = 30.0
_EXIT_NOT_WELL: Final = 1


@commands.command()
def check(
    hashes: Annotated[bool, typer.Option("--hash", help="Compare contents with the SHA-256 in the index.")] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Decode every picture: slow.")] = False,
    enter: Annotated[bool, typer.Option("--enter", help="Repair: enter files that no row promises.")] = False,
    mark: Annotated[bool, typer.Option("--mark", help="Repair: mark rows whose file is gone, short, or back.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Repair: drop rows of deleted files.")] = False,
    locks: Annotated[bool, typer.Option("--locks", help="Repair: lock clips by row and by lock file.")] = False,
    account: Annotated[
        bool, typer.Option("--account", help="Repair: call time that nobody speaks of a gap, unknown.")
    ] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look whether every row has its file, every file its row, and every moment its reason.

    Changes nothing unless a repair is asked for; each has its own flag, and none deletes footage. Works beside a daemon
    that records, and without one. Exit code 1 where anything is not as promised and was not repaired.
    """
    from nvr.store.repair import REPAIR_OF, Repair

    wanted = {
        repair
        for repair, flag in zip(
            (Repair.ENTER, Repair.MARK, Repair.FORGET, Repair.LOCKS, Repair.ACCOUNT),
            (enter, mark, forget, locks, account),
            strict=True,
        )
        if flag
    }
    settings = config.load(config.find(config_file))
    told: list[tuple[Finding, str | None]] = []
    with _mender(settings, wanted) as mend, progress("checking") as bar:
        files, findings = _findings(settings, bar, hashes=hashes, decode=decode, repairs=bool(wanted))
        for finding in findings:
            done = mend(finding) if REPAIR_OF.get(finding.kind) in wanted else None
            told.append((finding, done))
    looked_at = files()
    if as_json:
        print_json({"files": looked_at, "findings": [_facts(finding, done) for finding, done in told]})
    else:
        _print_findings(told, looked_at)
    if any(done is None for _, done in told):
        raise typer.Exit(_EXIT_NOT_WELL)


@commands.command()
def backup(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Copy the index, beside a running daemon or without one: checked, synced, and put on each volume as well.

    Seven copies are kept beside the index, the newest on each volume. The daemon does the same every night.
    """
    from nvr.store.backup import back_up

    settings = config.load(config.find(config_file))
    open_reader(settings.data_dir)
    index_path = settings.data_dir / INDEX_NAME
    with lock.daemon_kept_out(settings.data_dir) as alone:
        still = alone and not _has_log(index_path)
        volumes = [volume.path for volume in settings.volumes]
        copy, troubles = back_up(index_path, HostClock().utc_us(), volumes, still=still)
    size_bytes = copy.path.stat().st_size
    if as_json:
        print_json(
            {"path": str(copy.path), "at": iso_utc(copy.at_us), "size_bytes": size_bytes, "not_copied": troubles}
        )
    else:
        copies = len(volumes) - len(troubles)
        typer.echo(f"{copy.path}: {size_text(size_bytes)}, whole, and on {copies} volume{'s'[: copies != 1]}")
    for trouble in troubles:
        note(trouble)
    if troubles:
        raise typer.Exit(_EXIT_NOT_WELL)


@commands.command()
def rebuild(
    from_files: Annotated[
        bool, typer.Option("--from-files", help="Use no copy of the index, only the files themselves.")
    ] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the index anew: from its newest whole copy and the files, or from the files alone.

    The daemon must be stopped. The index that is there is kept beside the new one. Files tell of segments, of where
    cameras looked, of exported clips and of days' films; why something was not recorded only a copy tells, else it is
    `unknown`.
    """
    from nvr.store import salvage

    settings = config.load(config.find(config_file))
    if not settings.data_dir.is_dir():
        raise NotWellError(f"there is no {settings.data_dir}; the daemon makes it when it starts")
    index_path = settings.data_dir / INDEX_NAME
    now_us = HostClock().utc_us()
    began_s = time.monotonic()
    held = lock.hold(settings.data_dir)
    try:
        draft = settings.data_dir / "rebuild" / INDEX_NAME
        _clear(draft)
        paths = [volume.path for volume in settings.volumes]
        # Copies are looked for beside the index, and put where the new one is made.
        copy = None if from_files else _copy_to(draft, index_path, paths)
        counts = _filled(settings, draft, now_us)
        aside = salvage.set_aside(index_path, now_us, word="replaced")
        salvage.put_in_place(draft, index_path)
    finally:
        held.release()
    took_s = time.monotonic() - began_s
    if as_json:
        facts = {"copy": None if copy is None else str(copy), "aside": None if aside is None else str(aside)}
        print_json({**facts, "seconds": round(took_s, 3), **dict(counts)})
        return
    typer.echo(f"{index_path}: made anew from {'the files alone' if copy is None else f'{copy.name} and the files'}")
    for word in sorted(counts):
        typer.echo(f"  {counts[word]:>9} {word}")
    if aside is not None:
        typer.echo(f"the one before is {aside}")
    if counts["left"]:
        note("files that are left are not nvr's, copies, or damaged; nvr db check names them")


# ---- check


def _findings(
    settings: config.Config, bar: Callable[[int, int], None], *, hashes: bool, decode: bool, repairs: bool
) -> tuple[Callable[[], int], "Iterator[Finding]"]:
    from nvr.media.decoding import decodable_pictures
    from nvr.store.check import Check, Depth

    reader = open_reader(settings.data_dir)
    index_path = settings.data_dir / INDEX_NAME
    running = ask(settings.data_dir, "/api/v1/status") is not None
    check = Check(
        reader,
        index_path,
        _places(settings, reader),
        HostClock().utc_us(),
        depth=Depth(hashes=hashes, pictures=decodable_pictures if decode else None),
        still=not running and not repairs and not _has_log(index_path),
        live=lambda: _live_files(settings),
        progress=bar,
    )
    return lambda: check.files, check.findings()


def _live_files(settings: config.Config) -> set[Path]:
    told = ask(settings.data_dir, "/api/v1/live") or {}
    return {Path(segment["path"]) for segments in told.values() for segment in segments}


def _places(settings: config.Config, reader: Reader) -> "list[Place]":
    """The volumes that are there; those that are not are a finding of the check."""
    from nvr.media.durable import Disk
    from nvr.store.recovery import Place
    from nvr.store.volumes import Volume

    archive_id = reader.archive()
    known = {row.name: row for row in reader.volumes()}
    places = []
    for volume in settings.volumes:
        row = known.get(volume.name)
        if row is None or archive_id is None:
            continue
        try:
            place = Volume.open(Disk(), volume.name, volume.path, archive_id, row.uuid)
        except (VolumeMissing, OSError) as trouble:
            note(str(trouble))
            continue
        places.append(Place(row.id, place))
    return places


@contextmanager
def _mender(settings: config.Config, wanted: "set[Repair]") -> "Iterator[Callable[[Finding], str | None]]":
    """How a finding is mended: through the daemon where one runs, else here, in its place."""
    if not wanted:
        yield lambda _finding: None
    elif ask(settings.data_dir, "/api/v1/status") is not None:
        yield lambda finding: _mended_by_daemon(settings, finding)
    else:
        with _writer(settings) as repairer:
            yield repairer.repair


def _mended_by_daemon(settings: config.Config, finding: "Finding") -> str | None:
    order = {"kind": finding.kind.value, "volume": finding.volume, "path": finding.path, "row": finding.row}
    answer = tell(settings.data_dir, "/api/v1/index/repair", order)
    if answer is None:
        raise NotWellError("the daemon has stopped meanwhile; the same command again goes on without it")
    done = answer["done"]
    return None if done is None else str(done)


@contextmanager
def _writer(settings: config.Config) -> "Iterator[Repairer]":
    from nvr.media.durable import Disk
    from nvr.store.archive import Archive
    from nvr.store.clip_locks import put_lock_file
    from nvr.store.index import Index
    from nvr.store.repair import Repairer

    index_path = settings.data_dir / INDEX_NAME
    held = lock.hold(settings.data_dir)
    try:
        index, reader = Index(index_path), Reader(index_path)
        try:
            places = _places(settings, reader)
            volumes = {place.volume.name: place.volume.path for place in places}

            def lock_clip(clip_id: int) -> None:
                index.lock_clip(clip_id, True).result()
                clip = reader.clip(clip_id)
                if clip is not None and clip.path is not None and clip.volume in volumes:
                    put_lock_file(Disk(), volumes[clip.volume] / clip.path, locked=True)

            archive = Archive(Disk(), reader.archive() or "")
            yield Repairer(index, reader, archive, places, lock_clip, until_us=HostClock().utc_us())
        finally:
            reader.close()
            index.close(_PATIENCE_S)
    finally:
        held.release()


def _print_findings(told: "Sequence[tuple[Finding, str | None]]", files: int) -> None:
    rows = [(finding.kind.value, _where(finding), finding.sentence, done or "") for finding, done in told]
    if rows:
        print_table(("what", "where", "", "repaired"), rows)
    left = Counter(finding.kind.value for finding, done in told if done is None)
    if not left:
        typer.echo(f"{files} files are as promised" + (", now" if told else ""))
        return
    typer.echo(f"{files} files looked at; not as promised: " + ", ".join(f"{n} {kind}" for kind, n in left.items()))


def _where(finding: "Finding") -> str:
    if finding.path is None:
        return finding.volume or ""
    return f"(volume {finding.volume}) {finding.path}"


def _facts(finding: "Finding", done: str | None) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "sentence": finding.sentence,
        "volume": finding.volume,
        "path": finding.path,
        "row": finding.row,
        "repaired": done,
    }


# ---- rebuild


def _copy_to(draft: Path, index_path: Path, volumes: Sequence[Path]) -> Path | None:
    from nvr.store import salvage

    copy = salvage.restore_newest(index_path, volumes, draft)
    if copy is not None:
        note(f"the newest whole copy of the index is {copy}")
    else:
        note("there is no whole copy of the index: it is made from the files alone")
    return copy


def _filled(settings: config.Config, draft: Path, now_us: int) -> Counter[str]:
    from nvr.store import schema
    from nvr.store.index import Index

    schema.prepare(draft)
    index, reader = Index(draft), Reader(draft)
    try:
        return _fill(settings, index, reader, now_us)
    finally:
        reader.close()
        if not index.close(_PATIENCE_S):
            raise NotWellError("the new index could not be closed; the one before stays")


def _fill(settings: config.Config, index: "Index", reader: Reader, now_us: int) -> Counter[str]:
    from nvr.media.durable import Disk
    from nvr.store.archive import Archive
    from nvr.store.filling import close_account, fill
    from nvr.store.recovery import Place, end_what_a_copy_left_open
    from nvr.store.volumes import Volume, identity_at

    said = {volume.name: identity_at(volume.path) for volume in settings.volumes}
    archives = {identity.archive for identity in said.values() if identity is not None}
    if not archives:
        raise NotWellError("no volume of nvr is mounted at any configured path; mount one, and try again")
    archive_id = reader.archive() or min(archives)
    archive_id = index.name_archive(archive_id).result()
    places = []
    for volume in settings.volumes:
        identity = said[volume.name]
        if identity is None or identity.archive != archive_id:
            raise NotWellError(f"volume '{volume.name}' is not at {volume.path}: all are needed to make the index anew")
        opened = Volume.open(Disk(), volume.name, volume.path, archive_id, identity.volume)
        opened.claim()
        places.append(Place(index.add_volume(volume.name, identity.volume).result(), opened))
    end_what_a_copy_left_open(index, reader)
    with progress("reading files") as bar:
        report = fill(index, reader, Archive(Disk(), archive_id), places, until_us=now_us, progress=bar)
    close_account(index, reader)
    for place in places:
        place.volume.release()
    return Counter(report.segments)


def _clear(draft: Path) -> None:
    draft.parent.mkdir(mode=0o750, exist_ok=True)
    for left in draft.parent.iterdir():
        left.unlink()


def _has_log(index_path: Path) -> bool:
    try:
        return wal_path(index_path).stat().st_size > 0
    except FileNotFoundError:
        return False
