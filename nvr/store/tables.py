"""The index's tables (SQLAlchemy Core). A change here needs a revision in migrations/versions and a test beside it.

Times are integer microseconds UTC, `STRICT` tables keep types honest, names of constraints follow one convention.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

APPLICATION_ID: Final = 0x6E767269  # "nvri": file(1) and nvr itself tell an index from any other SQLite database
SCHEMA_VERSION: Final = 1
"""`user_version` of an index this program reads and writes: the number of the newest revision."""

NO_PRESET: Final = -1  # instead of NULL, of which no two are equal: each view is there once

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    }
)

# SQLite's STRICT tables know INTEGER (64 bits); other databases need the wide type by name.
_Int: Final = BigInteger().with_variant(Integer, "sqlite")

archive: Final = Table(
    "archive",
    metadata,
    Column("id", _Int, CheckConstraint("id = 1", name="single"), primary_key=True, comment="always 1"),
    Column("uuid", Text, nullable=False, comment="of this index and its volumes together; in every label"),
    sqlite_strict=True,
    comment="one row: which archive this is the index of",
)

camera: Final = Table(
    "camera",
    metadata,
    Column("id", _Int, primary_key=True),
    Column("slug", Text, nullable=False, unique=True, comment="the name in the configuration"),
    Column("configured_at_us", _Int, nullable=False, comment="before this it counts as not configured"),
    Column(
        "longest_segment_us",
        _Int,
        nullable=False,
        server_default=text("0"),
        comment="no segment of it is longer: how far before a moment its segment may begin",
    ),
    Column(
        "longest_gap_us", _Int, nullable=False, server_default=text("0"), comment="no closed gap row of it is longer"
    ),
    Column("model", Text, comment="the model it last said it is; null until it said one"),
    Column("camera_ident", Text, comment="the name it last gave itself (its camera id); null until it gave one"),
    Column("firmware", Text, comment="the firmware it last told, part by part; null until it told one"),
    Column(
        "fan_failed",
        _Int,
        CheckConstraint("fan_failed IN (0, 1)", name="fan_failed"),
        comment="what it last said of its fan; null until it said so",
    ),
    Column(
        "turned_away",
        _Int,
        CheckConstraint("turned_away IN (0, 1)", name="turned_away"),
        comment="whether it looked elsewhere than expected; null until that was asked and known",
    ),
    Column("film_gone_us", _Int, comment="the latest day whose film went: none of it or before it is made again"),
    sqlite_strict=True,
    comment="every camera that ever was configured",
)

volume: Final = Table(
    "volume",
    metadata,
    Column("id", _Int, primary_key=True),
    Column("name", Text, nullable=False, unique=True, comment="the name in the configuration"),
    Column("uuid", Text, nullable=False, unique=True, comment="as in its identity file"),
    sqlite_strict=True,
    comment="every file system that ever held footage",
)

run: Final = Table(
    "run",
    metadata,
    Column("id", _Int, primary_key=True, comment="the run's number: larger of last + 1 and the second of its start"),
    Column("camera_id", _Int, ForeignKey("camera.id"), nullable=False),
    Column("folder", Text, nullable=False, comment="the slug at its begin: the folder its files lie in"),
    Column("started_us", _Int, nullable=False),
    Column("begin_reason", Text, nullable=False),
    Column("ended_us", _Int, comment="null while it goes on"),
    Column("end_reason", Text),
    Column("epoch", _Int, nullable=False, comment="counts backward steps of the host's clock"),
    Column("clock_source", Text, nullable=False, comment="where media time comes from"),
    Column("utc_anchor_us", _Int, nullable=False, comment="UTC of the run's tick 0"),
    Column("slope_ppb", _Int, nullable=False, comment="UTC against media time, in billionths"),
    Column(
        "host_synchronised",
        _Int,
        CheckConstraint("host_synchronised IN (0, 1)", name="host_synchronised"),
        nullable=False,
    ),
    Column("correction_us", _Int, nullable=False, comment="to add to every time of the run when asked"),
    Column("boot", Text, comment="of the host, while the run waits for the host's clock to be corrected; else null"),
    Column("utc_less_mono_us", _Int, comment="the host's UTC less its monotonic clock at the run's start, with boot"),
    Index(None, "camera_id", "started_us"),
    Index("ix_run_corrected", "camera_id", sqlite_where=text("correction_us != 0")),
    Index("ix_run_boot", "boot", sqlite_where=text("boot IS NOT NULL")),
    sqlite_strict=True,
    comment="an unbroken stretch of a camera's stream under one mapping of time",
)

segment: Final = Table(
    "segment",
    metadata,
    Column("id", _Int, primary_key=True),
    Column("camera_id", _Int, ForeignKey("camera.id"), nullable=False),
    Column("run", _Int, ForeignKey("run.id"), nullable=False),
    Column("seq", _Int, nullable=False, comment="counts the run's segments from 0"),
    Column("volume_id", _Int, ForeignKey("volume.id"), nullable=False),
    Column("start_us", _Int, nullable=False),
    Column("end_us", _Int, nullable=False),
    Column("frames", _Int, nullable=False),
    Column("size_bytes", _Int, nullable=False),
    Column("time_base_num", _Int, nullable=False, comment="seconds per tick, numerator"),
    Column("time_base_den", _Int, nullable=False, comment="seconds per tick, denominator"),
    Column("first_tick", _Int, nullable=False, comment="ticks since the run's first frame"),
    Column("duration_ticks", _Int, nullable=False),
    Column("recovered", _Int, CheckConstraint("recovered IN (0, 1)", name="recovered"), nullable=False),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('ok', 'damaged', 'missing', 'truncated')", name="state"),
        nullable=False,
    ),
    Column("sha256", LargeBinary, comment="of the whole file, once somebody computed it"),
    CheckConstraint("end_us > start_us", name="span"),
    CheckConstraint("frames > 0 AND size_bytes >= 0", name="sizes"),
    UniqueConstraint("run", "seq"),
    Index(None, "camera_id", "start_us"),
    # The oldest of each camera on each volume, which retention asks for each minute.
    Index(None, "volume_id", "camera_id", "start_us"),
    sqlite_strict=True,
    comment="a promise about a file; its path follows from its run's folder, start, run and seq",
)

holding: Final = Table(
    "holding",
    metadata,
    Column("volume_id", _Int, ForeignKey("volume.id"), primary_key=True),
    Column("camera_id", _Int, ForeignKey("camera.id"), primary_key=True),
    Column("segment_bytes", _Int, nullable=False),
    Column("clip_bytes", _Int, nullable=False, comment="of clips' files, those that are a link to a segment left out"),
    Column("film_bytes", _Int, nullable=False, server_default=text("0")),
    sqlite_strict=True,
    sqlite_with_rowid=False,
    comment="how much of each camera there is on each volume: sums over segment, clip and film, kept by TRIGGERS",
)

view: Final = Table(
    "view",
    metadata,
    Column("id", _Int, primary_key=True, comment="never given twice: a reader may keep it from question to question"),
    Column("camera_id", _Int, ForeignKey("camera.id"), nullable=False),
    Column("kind", Text, CheckConstraint("kind IN ('rest', 'sweep')", name="kind"), nullable=False),
    Column("pan_from", _Int, nullable=False, comment="hundredths as on the wire; the arc goes clockwise to pan_to"),
    Column("pan_to", _Int, nullable=False),
    Column("tilt_from", _Int, nullable=False),
    Column("tilt_to", _Int, nullable=False),
    Column("zoom_from", _Int, nullable=False),
    Column("zoom_to", _Int, nullable=False),
    Column("preset", _Int, nullable=False, comment="-1 where it stood on none"),
    UniqueConstraint(
        *("camera_id", "pan_from", "pan_to", "tilt_from", "tilt_to", "zoom_from", "zoom_to", "preset", "kind"),
        name="uq_view_whole",
    ),
    sqlite_strict=True,
    sqlite_autoincrement=True,
    comment="the distinct views of a camera that its looks refer to",
)

look: Final = Table(
    "look",
    metadata,
    Column("segment_id", _Int, ForeignKey("segment.id"), primary_key=True),
    Column("start_us", _Int, primary_key=True),
    Column("duration_us", _Int, CheckConstraint("duration_us > 0", name="duration"), nullable=False),
    Column("view_id", _Int, ForeignKey("view.id"), nullable=False),
    # Holds all that a search asks for: the table itself is only read along a segment.
    Index(None, "view_id", "start_us", "duration_us"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
    comment="which view a camera had when: every moment of a segment of which a position is known, once",
)

gap: Final = Table(
    "gap",
    metadata,
    Column("id", _Int, primary_key=True),
    Column("camera_id", _Int, ForeignKey("camera.id"), nullable=False),
    Column("kind", Text, CheckConstraint("kind IN ('gap', 'off')", name="kind"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("start_us", _Int, nullable=False),
    Column("end_us", _Int, comment="null while it goes on"),
    Column("epoch", _Int, nullable=False, comment="counts backward steps of the host's clock"),
    CheckConstraint("end_us > start_us", name="span"),
    UniqueConstraint("camera_id", "start_us", "epoch"),
    Index("uq_gap_open", "camera_id", unique=True, sqlite_where=text("end_us IS NULL")),
    sqlite_strict=True,
    comment="time that was not recorded, and why; one camera has at most one open",
)

camera_clock: Final = Table(
    "camera_clock",
    metadata,
    Column("camera_id", _Int, ForeignKey("camera.id"), primary_key=True),
    Column("at_us", _Int, primary_key=True),
    Column("offset_us", _Int, nullable=False, comment="the camera's own clock less the host's"),
    Column("drift_ppb", _Int, comment="how much too fast it runs, in billionths; null until that is known"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
    comment="how far a camera's own clock is from the host's: every ten minutes and at each step, for a season",
)

event: Final = Table(
    "event",
    metadata,
    Column("id", _Int, primary_key=True),
    Column("at_us", _Int, nullable=False),
    Column("camera_id", _Int, ForeignKey("camera.id"), comment="null where it concerns the host"),
    Column("kind", Text, nullable=False, comment="a word such as fan-failed"),
    Column("text", Text, nullable=False, comment="one sentence for people"),
    Column("facts", Text, nullable=False, comment="a JSON object for machines"),
    Index(None, "at_us"),
    Index(None, "camera_id", "at_us"),
    sqlite_strict=True,
    comment="what happened to cameras and the host that is no gap and no alarm",
)

garbage: Final = Table(
    "garbage",
    metadata,
    Column("id", _Int, primary_key=True),
    Column("volume_id", _Int, ForeignKey("volume.id"), nullable=False),
    Column("path", Text, nullable=False, comment="relative to the volume"),
    Column("since_us", _Int, nullable=False),
    UniqueConstraint("volume_id", "path"),
    sqlite_strict=True,
    comment="files that lost their row and wait to be unlinked",
)

alarm: Final = Table(
    "alarm",
    metadata,
    Column("id", _Int, primary_key=True),
    Column("camera_id", _Int, ForeignKey("camera.id"), nullable=False),
    Column("rule", Text, nullable=False),
    Column("trigger", Text, nullable=False, comment="the word that set it off"),
    Column("source", Text, nullable=False, comment="input-1, input-2, motion or manual"),
    Column("at_us", _Int, nullable=False),
    Column("note", Text),
    Column(
        "unconnected",
        _Int,
        CheckConstraint("unconnected IN (0, 1)", name="unconnected"),
        nullable=False,
        comment="1: it happened while nobody listened",
    ),
    Column(
        "since_us", _Int, comment="it happened no earlier, where nobody listened and the camera's log did not say when"
    ),
    UniqueConstraint("camera_id", "at_us", "rule", "source", name="uq_alarm_once"),
    sqlite_strict=True,
    comment="every alarm of every rule",
)

alarm_link: Final = Table(
    "alarm_link",
    metadata,
    Column("camera_id", _Int, ForeignKey("camera.id"), primary_key=True),
    Column("known_us", _Int, nullable=False, comment="until when the camera was listened to"),
    Column("pin1", Text, nullable=False, comment="make, break or unknown"),
    Column("pin2", Text, nullable=False),
    Column("motion", _Int, CheckConstraint("motion IN (0, 1)", name="motion"), nullable=False),
    Column(
        "heard", Text, nullable=False, comment="the last seconds' changes, `m1@MICROSECONDS`: a log tells them again"
    ),
    Column("cut_us", _Int, comment="after so long the camera cuts alarm links, as learned"),
    sqlite_strict=True,
    comment="what was known of a camera's inputs when it was last listened to",
)

clip: Final = Table(
    "clip",
    metadata,
    Column("id", _Int, primary_key=True, comment="never given twice: it is part of a file's name"),
    Column("camera_id", _Int, ForeignKey("camera.id"), nullable=False),
    Column("rule", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("alarm_at_us", _Int, nullable=False),
    Column("start_us", _Int, comment="its first I-VOP; null while nothing of it is kept"),
    Column("until_us", _Int, comment="where an open one will end; null while its state lasts"),
    Column("end_us", _Int, comment="null while it is open"),
    Column("state", Text, CheckConstraint("state IN ('open', 'closed')", name="state"), nullable=False),
    Column("close_reason", Text),
    Column("locked", _Int, CheckConstraint("locked IN (0, 1)", name="locked"), nullable=False),
    Column("path", Text, comment="its file, relative to the volume; null before it is exported"),
    Column("volume_id", _Int, ForeignKey("volume.id")),
    Column("files", _Int, nullable=False, comment="all after the first end in -2, -3 ..."),
    Column("size_bytes", _Int, comment="of its files together"),
    Column("pre_shortfall_us", _Int, nullable=False, comment="what is missing before the alarm"),
    Column("gap_us", _Int, comment="what of it was not recorded; null before it is exported"),
    Column(
        "linked",
        _Int,
        CheckConstraint("linked IN (0, 1)", name="linked"),
        nullable=False,
        server_default=text("0"),
        comment="1: its file is a second name of a segment that is there, and takes no room of its own",
    ),
    Column("continues", _Int, comment="the clip that it goes on from"),
    Column("exported_at_us", _Int),
    Column("epoch", _Int, nullable=False, comment="as of its segments' runs"),
    Column("sha256", LargeBinary, comment="of each of its files, one behind the other, once somebody computed it"),
    CheckConstraint("end_us >= start_us", name="span"),
    CheckConstraint("(state = 'open') = (end_us IS NULL)", name="ended"),
    Index(None, "camera_id", "end_us"),
    Index("ix_clip_open", "camera_id", sqlite_where=text("end_us IS NULL")),
    Index("ix_clip_unexported", "id", sqlite_where=text("exported_at_us IS NULL")),
    # The oldest that may go, of each camera on each volume or without a file.
    Index("ix_clip_unlocked", "camera_id", "volume_id", "end_us", sqlite_where=text("locked = 0")),
    sqlite_strict=True,
    sqlite_autoincrement=True,
    comment="the footage around an alarm: a window over segments, later a file of its own",
)

clip_member: Final = Table(
    "clip_member",
    metadata,
    Column("clip_id", _Int, ForeignKey("clip.id"), primary_key=True),
    Column("segment_id", _Int, ForeignKey("segment.id"), primary_key=True),
    Column("first_tick", _Int, nullable=False, comment="in the file's own time from 0"),
    Column("last_tick", _Int, nullable=False, comment="the picture shown at it is the last"),
    Index(None, "segment_id"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
    comment="which parts of which segments a clip has; holds them until it is exported, and while it is locked",
)

film: Final = Table(
    "film",
    metadata,
    Column("id", _Int, primary_key=True),
    Column("camera_id", _Int, ForeignKey("camera.id"), nullable=False),
    Column("volume_id", _Int, ForeignKey("volume.id"), nullable=False),
    Column("start_us", _Int, nullable=False, comment="where its day (UTC) begins"),
    Column("path", Text, nullable=False, comment="its file, relative to the volume"),
    Column("files", _Int, nullable=False, comment="all after the first end in -2, -3 ..."),
    Column("size_bytes", _Int, nullable=False, comment="of its files together"),
    Column("pictures", _Int, nullable=False),
    Column("state", Text, CheckConstraint("state IN ('ok', 'missing', 'truncated')", name="state"), nullable=False),
    CheckConstraint("files > 0 AND pictures > 0 AND size_bytes >= 0", name="sizes"),
    UniqueConstraint("camera_id", "start_us"),
    sqlite_strict=True,
    comment="a camera's day as a short film: a promise about its files",
)

# Whoever enters or drops footage, by whatever statement, the sums follow in the same transaction. A revision that makes
# one of the three tables anew has to make these anew as well.
TRIGGERS: Final = (
    """CREATE TRIGGER holding_segment_added AFTER INSERT ON segment BEGIN
        INSERT INTO holding (volume_id, camera_id, segment_bytes, clip_bytes)
        VALUES (NEW.volume_id, NEW.camera_id, NEW.size_bytes, 0)
        ON CONFLICT (volume_id, camera_id) DO UPDATE SET segment_bytes = segment_bytes + excluded.segment_bytes;
    END
    """,
    """CREATE TRIGGER holding_segment_gone AFTER DELETE ON segment BEGIN
        UPDATE holding SET segment_bytes = segment_bytes - OLD.size_bytes
        WHERE volume_id = OLD.volume_id AND camera_id = OLD.camera_id;
    END
    """,
    """CREATE TRIGGER holding_segment_changed AFTER UPDATE OF size_bytes, volume_id, camera_id ON segment BEGIN
        UPDATE holding SET segment_bytes = segment_bytes - OLD.size_bytes
        WHERE volume_id = OLD.volume_id AND camera_id = OLD.camera_id;
        INSERT INTO holding (volume_id, camera_id, segment_bytes, clip_bytes)
        VALUES (NEW.volume_id, NEW.camera_id, NEW.size_bytes, 0)
        ON CONFLICT (volume_id, camera_id) DO UPDATE SET segment_bytes = segment_bytes + excluded.segment_bytes;
    END
    """,
    """CREATE TRIGGER holding_clip_added AFTER INSERT ON clip BEGIN
        INSERT INTO holding (volume_id, camera_id, segment_bytes, clip_bytes)
        SELECT NEW.volume_id, NEW.camera_id, 0, coalesce(NEW.size_bytes, 0)
        WHERE NEW.volume_id IS NOT NULL AND NEW.linked = 0
        ON CONFLICT (volume_id, camera_id) DO UPDATE SET clip_bytes = clip_bytes + excluded.clip_bytes;
    END
    """,
    """CREATE TRIGGER holding_clip_gone AFTER DELETE ON clip BEGIN
        UPDATE holding SET clip_bytes = clip_bytes - coalesce(OLD.size_bytes, 0)
        WHERE volume_id = OLD.volume_id AND camera_id = OLD.camera_id AND OLD.linked = 0;
    END
    """,
    """CREATE TRIGGER holding_clip_changed AFTER UPDATE OF size_bytes, volume_id, camera_id, linked ON clip BEGIN
        UPDATE holding SET clip_bytes = clip_bytes - coalesce(OLD.size_bytes, 0)
        WHERE volume_id = OLD.volume_id AND camera_id = OLD.camera_id AND OLD.linked = 0;
        INSERT INTO holding (volume_id, camera_id, segment_bytes, clip_bytes)
        SELECT NEW.volume_id, NEW.camera_id, 0, coalesce(NEW.size_bytes, 0)
        WHERE NEW.volume_id IS NOT NULL AND NEW.linked = 0
        ON CONFLICT (volume_id, camera_id) DO UPDATE SET clip_bytes = clip_bytes + excluded.clip_bytes;
    END
    """,
    """CREATE TRIGGER holding_film_added AFTER INSERT ON film BEGIN
        INSERT INTO holding (volume_id, camera_id, segment_bytes, clip_bytes, film_bytes)
        VALUES (NEW.volume_id, NEW.camera_id, 0, 0, NEW.size_bytes)
        ON CONFLICT (volume_id, camera_id) DO UPDATE SET film_bytes = film_bytes + excluded.film_bytes;
    END
    """,
    """CREATE TRIGGER holding_film_gone AFTER DELETE ON film BEGIN
        UPDATE holding SET film_bytes = film_bytes - OLD.size_bytes
        WHERE volume_id = OLD.volume_id AND camera_id = OLD.camera_id;
    END
    """,
    """CREATE TRIGGER holding_film_changed AFTER UPDATE OF size_bytes, volume_id, camera_id ON film BEGIN
        UPDATE holding SET film_bytes = film_bytes - OLD.size_bytes
        WHERE volume_id = OLD.volume_id AND camera_id = OLD.camera_id;
        INSERT INTO holding (volume_id, camera_id, segment_bytes, clip_bytes, film_bytes)
        VALUES (NEW.volume_id, NEW.camera_id, 0, 0, NEW.size_bytes)
        ON CONFLICT (volume_id, camera_id) DO UPDATE SET film_bytes = film_bytes + excluded.film_bytes;
    END
    """,
)
