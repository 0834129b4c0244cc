"""Puts the rooms together as the configuration says: store, volumes, and a recorder and unit for each camera."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from nvr.camera.alarms import AlarmLink
from nvr.camera.attempt import Feed, OnFrames
from nvr.camera.control import Control
from nvr.camera.feed import VideoFeed
from nvr.camera.looks import PositionPoll
from nvr.camera.multicast import MulticastFeed, MulticastPlan
from nvr.camera.snapshot import snapshot
from nvr.camera.turn import Turn, turn_path
from nvr.clock import Clock
from nvr.config import Camera, Config, ConfigError, Volume
from nvr.jvc.params import Login
from nvr.media.durable import Disk
from nvr.media.frame import Frame
from nvr.metrics import Metrics
from nvr.record.clips import ClipDesk
from nvr.record.expected_view import ExpectedView
from nvr.record.exporter import Exporter
from nvr.record.gate import Gate, Mode
from nvr.record.keeper import Keeper
from nvr.record.recorder import RecordedCamera, Recorder
from nvr.record.ring import GopRing
from nvr.record.segmenter import Segmenter, offset_of
from nvr.record.shelf import Place, Shelf, Shelves
from nvr.record.syncing import SyncPlan
from nvr.record.writer import Identity, SegmentWriter
from nvr.rules.book import RuleBook
from nvr.store import lock, recovery, salvage, schema, volumes
from nvr.store.archive import Archive
from nvr.store.ballast import Ballast
from nvr.store.clip_snapshots import WaitingSnapshots
from nvr.store.errors import IndexDamaged
from nvr.store.field_of_view import middle_of
from nvr.store.index import Index
from nvr.store.ledger import NOT_CONFIGURED, Ledger
from nvr.store.reader import Reader
from nvr.store.recovery import Place as VolumePlace
from nvr.store.sweep import Sweeper
from nvr.store.volumes import VolumeThread
from nvr.supervisor.alarms import AlarmWatch, Snapshots, known_from
from nvr.supervisor.clip_rows import ClipRows
from nvr.supervisor.firmware import FirmwareWatch
from nvr.supervisor.settings import SettingsWatch
from nvr.supervisor.tour_watch import TourWatch
from nvr.supervisor.unit import CameraUnit
from nvr.supervisor.view_watch import ViewWatch
from nvr.supervisor.ways import Ways
from nvr.units import US

log = logging.getLogger(__name__)

_LOCK_WAIT_S: Final = 2.0  # for readers of a still index to finish their question
_RING_SPARE_US: Final = US  # an alarm is told a moment after it happened
_DESK_SPARE_US: Final = 10 * US
_RECOVERED: Final = {"adopted": "adopted", "film": "adopted", "mended": "cut", "empty": "empty"}
"""Results of recovery as metrics name them; the rest is `failed`."""
_FIRST_LOOK_S: Final = 5.0  # for volumes to be recognised at start; one that takes longer joins when it answers


@dataclass(slots=True)
class Store:
    """Disk and index, open."""

    index: Index
    reader: Reader
    shelves: Shelves
    archive: Archive
    recovery: recovery.Recovery
    exporter: Exporter
    """Makes files of clips, where they are wanted, and looks after their locks."""
    sweeper: Sweeper
    """Deletes what is old, or too much."""
    held: lock.DataDirLock
    began_us: int
    """When this life of the daemon began."""
    first_run: int
    """Files of runs before this one are no recorder's of this life."""

    def places(self) -> list["VolumePlace"]:
        """The volumes that are there."""
        return [VolumePlace(shelf.volume_id, shelf.volume) for shelf in self.shelves.all if shelf.volume is not None]

    def close(self, within_s: float) -> bool:
        """Everything to disk and the lock given back; False where a disk did not answer in time."""
        done = [self.exporter.stop(within_s / 2), self.sweeper.stop(within_s / 2)]
        done += [shelf.thread.stop(within_s / 2) for shelf in self.shelves.all]
        for shelf in self.shelves.all:
            if shelf.volume is not None:
                shelf.volume.release()
        self.reader.close()
        done.append(self.index.close(within_s / 2))
        self.held.release()
        return all(done)


def open_store(config: Config, metrics: Metrics, clock: Clock) -> Store:
    """Lock, upgrade, volumes, recovery. Blocks; before the loop does anything else.

    Raises StoreBusy, SchemaTooNew, IndexDamaged, DiskFull, OSError.
    """
    config.data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    held = lock.hold(config.data_dir, wait_s=_LOCK_WAIT_S)
    try:
        index_path = config.data_dir / schema.INDEX_NAME
        paths = [volume.path for volume in config.volumes]
        lost = salvage.look(index_path, paths, clock.utc_us())
        try:
            return _open(config, metrics, clock, held, lost)
        except IndexDamaged as damage:
            if not damage.corrupt:
                raise
            lost = salvage.begin_again(index_path, paths, clock.utc_us(), f"was damaged ({damage})")
        return _open(config, metrics, clock, held, lost)
    except BaseException:
        held.release()
        raise


def _open(config: Config, metrics: Metrics, clock: Clock, held: lock.DataDirLock, lost: salvage.Lost | None) -> Store:
    index_path = config.data_dir / schema.INDEX_NAME
    with contextlib.ExitStack() as undo:
        schema.prepare(index_path)
        index = Index(index_path, on_commit=lambda seconds, _: metrics.index_commit.observe(seconds))
        undo.callback(index.close, _LOCK_WAIT_S)
        reader = Reader(index_path)
        undo.callback(reader.close)
        for name, camera in config.cameras.items():
            if camera.was is not None:
                _rename(index, reader, camera.was, name)
        shelves = _shelves(config, index, reader, metrics, clock)
        undo.callback(_leave, shelves)
        began_us = clock.utc_us()
        filling = salvage.is_filling(index_path)
        found = _recover(index, reader, shelves, metrics, clock, lost=lost is not None, filling=filling)
        _dismiss(config, index, reader, found, clock.utc_us())
        if lost is not None:
            index.add_event(clock.utc_us(), "index-lost", lost.sentence()).result()
        undo.pop_all()
    exports = config.recording.export_clips
    snapshots = WaitingSnapshots(config.data_dir)
    exporter = Exporter(index, reader, shelves, clock, exports=exports, snapshots=snapshots)
    sweeper = Sweeper(
        index, reader, shelves.all, config.keep, Ballast(config.data_dir), metrics, clock, exports=exports
    )
    archive, first_run = shelves.all[0].archive, index.newest_run() + 1
    return Store(index, reader, shelves, archive, found, exporter, sweeper, held, began_us, first_run)


def _leave(shelves: Shelves) -> None:
    for shelf in shelves.all:
        shelf.thread.stop(_LOCK_WAIT_S)
        if shelf.volume is not None:
            shelf.volume.release()


def rename(store: Store, was: str, name: str) -> None:
    """A camera and all its footage is called `name` from now on. Blocks. Raises DiskFull, IndexDamaged."""
    _rename(store.index, store.reader, was, name)


def _rename(index: Index, reader: Reader, was: str, name: str) -> None:
    """Nothing where that was done before: a configuration may say for years what a camera was called once."""
    known = {camera.slug for camera in reader.cameras()}
    if was not in known:
        return
    if name in known:
        log.warning(
            "a camera of the new name has footage of its own, so the old name's footage stays under it",
            extra={"camera": name, "was": was, "action": "not-renamed"},
        )
        return
    index.rename_camera(was, name).result()
    log.info("camera renamed", extra={"camera": name, "was": was, "action": "renamed"})


def _dismiss(config: Config, index: Index, reader: Reader, found: recovery.Recovery, now_us: int) -> None:
    """Cameras that are configured no longer are off from now on; their footage stays."""
    for camera in reader.cameras():
        if camera.slug not in config.cameras:
            index.put_spans(camera.id, found.ledgers[camera.id].off(now_us, NOT_CONFIGURED))


def _shelves(config: Config, index: Index, reader: Reader, metrics: Metrics, clock: Clock) -> Shelves:
    # Where the index was lost the volumes still say which archive they belong to.
    said = (volumes.identity_at(volume.path) for volume in config.volumes)
    uuid = next((identity.archive for identity in said if identity is not None), str(uuid4()))
    archive = Archive(Disk(), index.name_archive(uuid).result())
    shelves = _made(config.volumes, config, archive, index, reader, metrics, clock)
    looked = [threading.Event() for _ in shelves]
    for shelf, done in zip(shelves, looked, strict=True):
        shelf.put(0, _look, shelf, done)
    deadline_s = time.monotonic() + _FIRST_LOOK_S
    for done in looked:
        done.wait(max(0.0, deadline_s - time.monotonic()))
    return Shelves(shelves)


def _made(
    these: Iterable[Volume],
    config: Config,
    archive: Archive,
    index: Index,
    reader: Reader,
    metrics: Metrics,
    clock: Clock,
) -> list[Shelf]:
    """Shelves of these volumes, not looked at yet."""
    known = {volume.name: volume.uuid for volume in reader.volumes()}
    return [
        Shelf(
            Place(volume.name, volume.path, volume.keep_free_bytes, volume.quota),
            archive,
            VolumeThread(volume.name, clock),
            SyncPlan(_sync_us(config)),
            metrics.add_volume(volume.name),
            clock,
            known_uuid=known.get(volume.name),
            enter=lambda name, uuid: index.add_volume(name, uuid).result(),
            recover=lambda shelf: _recover_late(index, reader, shelf),
            observe_sync=metrics.storage_sync.observe,
            observe_seal=metrics.segment_commit.observe,
        )
        for volume in these
    ]


def more_shelves(these: Iterable[Volume], config: Config, store: Store, metrics: Metrics, clock: Clock) -> list[Shelf]:
    """Shelves of volumes that were configured while nvr runs; the next look recovers what lies there. Blocks."""
    shelves = _made(these, config, store.archive, store.index, store.reader, metrics, clock)
    footage = store.reader.footage_bytes() if shelves else {}
    for shelf in shelves:
        shelf.is_late = True
        shelf.counts.entered_bytes = footage.get(shelf.name, 0)
    return shelves


def adjust_shelves(shelves: Mapping[str, Shelf], config: Config) -> None:
    """What may change of a volume in use: how much to leave free, and how often to sync."""
    for volume in config.volumes:
        shelf = shelves.get(volume.name)
        if shelf is None:
            continue
        shelf.place = Place(volume.name, volume.path, volume.keep_free_bytes, volume.quota)
        shelf.plan.sync_every(_sync_us(config))


def _sync_us(config: Config) -> int:
    return int(config.recording.sync_seconds * US)


def _look(shelf: Shelf, done: threading.Event) -> None:
    try:
        shelf.look()
    finally:
        done.set()


def _recover(
    index: Index, reader: Reader, shelves: Shelves, metrics: Metrics, clock: Clock, *, lost: bool, filling: bool
) -> recovery.Recovery:
    archive = shelves.all[0].archive
    for shelf in shelves.all:
        shelf.is_late = True
    places = [recovery.Place(shelf.volume_id, shelf.volume) for shelf in shelves.all if shelf.volume is not None]
    found = recovery.recover(index, reader, archive, places, clock.utc_us(), lost=lost, filling=filling)
    for result, count in found.segments.items():
        metrics.recovered_segments[_RECOVERED.get(result, "failed")] += count
    held = reader.footage_bytes()
    for shelf in shelves.all:
        shelf.counts.entered_bytes = held.get(shelf.name, 0)
    for camera in reader.cameras():
        last = reader.last_segment(camera.slug)
        if last is not None:
            shelves.settle(camera.slug, last.row.start_us // (86_400 * US), last.volume)
        first = reader.first_segment(camera.slug)
        if first is not None and camera.slug in metrics.cameras:
            metrics.cameras[camera.slug].oldest_segment_us = first.row.start_us
    return found


def _recover_late(index: Index, reader: Reader, shelf: Shelf) -> None:
    if shelf.volume is not None:
        place = recovery.Place(shelf.volume_id, shelf.volume)
        recovery.recover_files(index, reader, shelf.archive, place, recovery.Recovery(epoch=reader.last_epoch()))


def make_unit(
    number: int,
    slug: str,
    camera: Camera,
    config: Config,
    store: Store,
    metrics: Metrics,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> CameraUnit:
    """A camera's unit, ready to run; the camera is in the index from here on.

    `number` is its place in the configuration, which gives it its place on the grid of segments.
    """
    recorded, ledger = _entered(slug, store, clock.utc_us())
    segment_us = int(config.recording.segment_seconds * US)
    counts = metrics.cameras.get(slug) or metrics.add_camera(slug)

    def hop(call: Callable[..., object], *args: object) -> None:
        # After the loop has ended there is nobody left to tell; what was sealed is found by the next start.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(call, *args)

    def make_writer(shelf: Shelf, identity: Identity, first: Frame) -> SegmentWriter:
        return SegmentWriter(
            shelf,
            identity,
            first,
            lambda outcome: hop(recorder.hear, outcome),
            clock,
            ptz_track=config.recording.ptz_track,
        )

    rows = ClipRows(store.index, recorded, counts, hop)
    recorder = Recorder(
        recorded,
        Segmenter(segment_us, offset_of(number, segment_us)),
        ledger,
        _shelves_for(camera, store.shelves),
        store.index,
        counts,
        clock,
        make_writer,
        hop,
    )
    plan = config.record_plan(slug)
    rules, manual = config.rules_of(slug), config.manual_rule(slug)
    book = RuleBook(rules, manual)
    keeper = Keeper(
        recorder,
        Gate(plan, fail_open=camera.fail_open),
        GopRing(book.reach_us + _RING_SPARE_US),
        ClipDesk(
            int(config.recording.max_clip_seconds * US), book.reach_us + _DESK_SPARE_US, next_clip=store.index.next_clip
        ),
        clock,
        rows.put_steps,
    )
    counts.clips |= {rule.name: counts.clips.get(rule.name, 0) for rule in rules}
    control = _control_of(slug, camera, config, clock)
    watch = AlarmWatch(
        keeper,
        book,
        None,
        control,
        store.index,
        rows,
        counts,
        clock,
        snapshots=Snapshots(lambda: snapshot((camera.host, camera.http_port)), store.exporter.keep_snapshot),
    )
    counts.alarms_heeded = bool(rules) or plan.may_wait
    if counts.alarms_heeded:
        watch.link = _alarm_link(recorded, camera, watch, control, store.reader, clock)
    wanted = plan.inside is not Mode.OFF or plan.outside is not Mode.OFF
    view = _view_of(slug, config, store.reader)
    looking = None
    if view is not None:
        looking = ViewWatch(recorded.id, slug, view, store.index, counts, clock, watch.happen)
    settings = SettingsWatch(
        camera.settings.values, control, recorded, store.index, counts, clock, enforce=camera.settings.enforce
    )
    firmware = None
    if control is not None:
        known = store.reader.camera(slug)
        told_before = None if known is None else known.firmware
        firmware = FirmwareWatch(control, recorded, store.index, clock, known=told_before)
    tours = config.tours(slug)
    touring = TourWatch(tours, control, slug, clock) if tours is not None and control is not None else None
    unit = CameraUnit(
        _ways_of(slug, camera, control, clock),
        keeper,
        watch,
        counts,
        clock,
        wanted=wanted,
        view=looking,
        settings=settings,
        firmware=firmware,
        tours=touring,
    )
    if control is not None:
        control.on_restart = unit.restarts
    return unit


def _entered(slug: str, store: Store, now_us: int) -> tuple[RecordedCamera, Ledger]:
    """The camera as the index knows it from now on, and the account of its time."""
    camera_id = store.index.add_camera(slug, now_us).result()
    ledger = store.recovery.ledgers.setdefault(camera_id, Ledger(store.recovery.epoch))
    is_new = ledger.open is None and not ledger.latest_us
    if is_new or (ledger.open is not None and ledger.open.reason == NOT_CONFIGURED):
        # Until its first picture nvr has not begun.
        store.index.put_spans(camera_id, ledger.gap(now_us, recovery.STOPPED))
    return RecordedCamera(camera_id, slug), ledger


def _alarm_link(
    recorded: RecordedCamera, camera: Camera, watch: AlarmWatch, control: Control | None, reader: Reader, clock: Clock
) -> AlarmLink:
    """The link over which the camera tells its alarms, with what an earlier life learned of it."""
    last = reader.alarm_link(recorded.id)
    return AlarmLink(
        recorded.slug,
        (camera.host, camera.alarm_port),
        clock,
        watch.hear,
        on_outage=watch.outage,
        control=control,
        motion_hold_s=None,  # how long motion counts is each rule's own word
        known=None if last is None else known_from(last),
        cut_s=None if last is None or last.cut_us is None else last.cut_us / US,
    )


def _view_of(slug: str, config: Config, reader: Reader) -> ExpectedView | None:
    """Where the camera should look, with what footage tells of its preset; None where it may look anywhere."""
    expected = config.expected(slug)
    if expected is None:
        return None
    box = reader.last_rest_at(slug, expected.preset) if expected.preset is not None else None
    return ExpectedView(expected, middle_of(box) if box is not None else None)


def _ways_of(slug: str, camera: Camera, control: Control | None, clock: Clock) -> Ways:
    """How the camera's video may come."""
    address = (camera.host, camera.http_port)

    def over_http(on_frames: OnFrames) -> Feed:
        return VideoFeed(address, clock, on_frames, collected=True)

    if camera.transport == "http":
        return Ways(over_http)
    group = None
    if camera.multicast_group is not None and camera.multicast_port is not None:
        group = (camera.multicast_group, camera.multicast_port)
    plan = MulticastPlan(address, group, camera.multicast_start, control)
    poll = None
    if control is not None and camera.ptz_poll_seconds:
        poll = PositionPoll(control, clock, camera.ptz_poll_seconds, slug)

    def by_multicast(on_frames: OnFrames) -> Feed:
        return MulticastFeed(plan, clock, on_frames, position=poll.get if poll is not None else _nowhere)

    return Ways(over_http, by_multicast, poll)


def _nowhere() -> None:
    """Nobody asks the camera where it looks."""


def _control_of(slug: str, camera: Camera, config: Config, clock: Clock) -> Control | None:
    """The camera's parameters, where a login is configured. Raises ConfigError where its password cannot be read."""
    login = _login_of(slug, config)
    if login is None:
        return None

    def login_again() -> Login | None:
        # A password that was changed by nvr camera set is in its file by now.
        with contextlib.suppress(ConfigError):
            return _login_of(slug, config)
        return None

    turn = Turn(turn_path(config.data_dir, slug))
    return Control((camera.host, camera.http_port), login, clock, turn=turn, login_again=login_again)


def _login_of(slug: str, config: Config) -> Login | None:
    credentials = config.credentials(slug)
    return None if credentials is None else Login(credentials.user, credentials.password.get_secret_value())


def _shelves_for(camera: Camera, shelves: Shelves) -> Shelves:
    if camera.volume is None:
        return shelves
    return Shelves([shelf for shelf in shelves.all if shelf.name == camera.volume])
