"""The first index: cameras, volumes, runs, segments, views and looks, gaps, garbage, alarms, clips and films."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Int = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "archive",
        sa.Column("id", Int, sa.CheckConstraint("id = 1", name=op.f("ck_archive_single")), nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive")),
        sqlite_strict=True,
    )
    op.create_table(
        "camera",
        sa.Column("id", Int, nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("configured_at_us", Int, nullable=False),
        sa.Column("longest_segment_us", Int, server_default=sa.text("0"), nullable=False),
        sa.Column("longest_gap_us", Int, server_default=sa.text("0"), nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("camera_ident", sa.Text),
        sa.Column("firmware", sa.Text),
        sa.Column("fan_failed", Int, sa.CheckConstraint("fan_failed IN (0, 1)", name=op.f("ck_camera_fan_failed"))),
        sa.Column("turned_away", Int, sa.CheckConstraint("turned_away IN (0, 1)", name=op.f("ck_camera_turned_away"))),
        sa.Column("film_gone_us", Int),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_camera")),
        sa.UniqueConstraint("slug", name=op.f("uq_camera_slug")),
        sqlite_strict=True,
    )
    op.create_table(
        "volume",
        sa.Column("id", Int, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volume")),
        sa.UniqueConstraint("name", name=op.f("uq_volume_name")),
        sa.UniqueConstraint("uuid", name=op.f("uq_volume_uuid")),
        sqlite_strict=True,
    )
    op.create_table(
        "run",
        sa.Column("id", Int, nullable=False),
        sa.Column("camera_id", Int, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("started_us", Int, nullable=False),
        sa.Column("begin_reason", sa.Text, nullable=False),
        sa.Column("ended_us", Int),
        sa.Column("end_reason", sa.Text),
        sa.Column("epoch", Int, nullable=False),
        sa.Column("clock_source", sa.Text, nullable=False),
        sa.Column("utc_anchor_us", Int, nullable=False),
        sa.Column("slope_ppb", Int, nullable=False),
        sa.Column(
            "host_synchronised",
            Int,
            sa.CheckConstraint("host_synchronised IN (0, 1)", name=op.f("ck_run_host_synchronised")),
            nullable=False,
        ),
        sa.Column("correction_us", Int, nullable=False),
        sa.Column("boot", sa.Text),
        sa.Column("utc_less_mono_us", Int),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_run_camera_id_camera")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_run_camera_id_started_us"), "run", ["camera_id", "started_us"])
    op.create_index("ix_run_corrected", "run", ["camera_id"], sqlite_where=sa.text("correction_us != 0"))
    op.create_index("ix_run_boot", "run", ["boot"], sqlite_where=sa.text("boot IS NOT NULL"))
    op.create_table(
        "segment",
        sa.Column("id", Int, nullable=False),
        sa.Column("camera_id", Int, nullable=False),
        sa.Column("run", Int, nullable=False),
        sa.Column("seq", Int, nullable=False),
        sa.Column("volume_id", Int, nullable=False),
        sa.Column("start_us", Int, nullable=False),
        sa.Column("end_us", Int, nullable=False),
        sa.Column("frames", Int, nullable=False),
        sa.Column("size_bytes", Int, nullable=False),
        sa.Column("time_base_num", Int, nullable=False),
        sa.Column("time_base_den", Int, nullable=False),
        sa.Column("first_tick", Int, nullable=False),
        sa.Column("duration_ticks", Int, nullable=False),
        sa.Column(
            "recovered",
            Int,
            sa.CheckConstraint("recovered IN (0, 1)", name=op.f("ck_segment_recovered")),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Text,
            sa.CheckConstraint("state IN ('ok', 'damaged', 'missing', 'truncated')", name=op.f("ck_segment_state")),
            nullable=False,
        ),
        sa.Column("sha256", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.CheckConstraint("end_us > start_us", name=op.f("ck_segment_span")),
        sa.CheckConstraint("frames > 0 AND size_bytes >= 0", name=op.f("ck_segment_sizes")),
        sa.UniqueConstraint("run", "seq", name=op.f("uq_segment_run_seq")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_segment_camera_id_camera")),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_segment_run_run")),
        sa.ForeignKeyConstraint(["volume_id"], ["volume.id"], name=op.f("fk_segment_volume_id_volume")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_segment_camera_id_start_us"), "segment", ["camera_id", "start_us"])
    op.create_index(op.f("ix_segment_volume_id_camera_id_start_us"), "segment", ["volume_id", "camera_id", "start_us"])
    op.create_table(
        "holding",
        sa.Column("volume_id", Int, nullable=False),
        sa.Column("camera_id", Int, nullable=False),
        sa.Column("segment_bytes", Int, nullable=False),
        sa.Column("clip_bytes", Int, nullable=False),
        sa.Column("film_bytes", Int, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("volume_id", "camera_id", name=op.f("pk_holding")),
        sa.ForeignKeyConstraint(["volume_id"], ["volume.id"], name=op.f("fk_holding_volume_id_volume")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_holding_camera_id_camera")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "view",
        sa.Column("id", Int, nullable=False),
        sa.Column("camera_id", Int, nullable=False),
        sa.Column(
            "kind", sa.Text, sa.CheckConstraint("kind IN ('rest', 'sweep')", name=op.f("ck_view_kind")), nullable=False
        ),
        sa.Column("pan_from", Int, nullable=False),
        sa.Column("pan_to", Int, nullable=False),
        sa.Column("tilt_from", Int, nullable=False),
        sa.Column("tilt_to", Int, nullable=False),
        sa.Column("zoom_from", Int, nullable=False),
        sa.Column("zoom_to", Int, nullable=False),
        sa.Column("preset", Int, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_view")),
        sa.UniqueConstraint(
            "camera_id",
            "pan_from",
            "pan_to",
            "tilt_from",
            "tilt_to",
            "zoom_from",
            "zoom_to",
            "preset",
            "kind",
            name=op.f("uq_view_whole"),
        ),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_view_camera_id_camera")),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "look",
        sa.Column("segment_id", Int, nullable=False),
        sa.Column("start_us", Int, nullable=False),
        sa.Column(
            "duration_us", Int, sa.CheckConstraint("duration_us > 0", name=op.f("ck_look_duration")), nullable=False
        ),
        sa.Column("view_id", Int, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "start_us", name=op.f("pk_look")),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_look_segment_id_segment")),
        sa.ForeignKeyConstraint(["view_id"], ["view.id"], name=op.f("fk_look_view_id_view")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_look_view_id_start_us_duration_us"), "look", ["view_id", "start_us", "duration_us"])
    op.create_table(
        "gap",
        sa.Column("id", Int, nullable=False),
        sa.Column("camera_id", Int, nullable=False),
        sa.Column(
            "kind", sa.Text, sa.CheckConstraint("kind IN ('gap', 'off')", name=op.f("ck_gap_kind")), nullable=False
        ),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("start_us", Int, nullable=False),
        sa.Column("end_us", Int),
        sa.Column("epoch", Int, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gap")),
        sa.CheckConstraint("end_us > start_us", name=op.f("ck_gap_span")),
        sa.UniqueConstraint("camera_id", "start_us", "epoch", name=op.f("uq_gap_camera_id_start_us_epoch")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_gap_camera_id_camera")),
        sqlite_strict=True,
    )
    op.create_index("uq_gap_open", "gap", ["camera_id"], unique=True, sqlite_where=sa.text("end_us IS NULL"))
    op.create_table(
        "camera_clock",
        sa.Column("camera_id", Int, nullable=False),
        sa.Column("at_us", Int, nullable=False),
        sa.Column("offset_us", Int, nullable=False),
        sa.Column("drift_ppb", Int),
        sa.PrimaryKeyConstraint("camera_id", "at_us", name=op.f("pk_camera_clock")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_camera_clock_camera_id_camera")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event",
        sa.Column("id", Int, nullable=False),
        sa.Column("at_us", Int, nullable=False),
        sa.Column("camera_id", Int),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_event_camera_id_camera")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_event_at_us"), "event", ["at_us"])
    op.create_index(op.f("ix_event_camera_id_at_us"), "event", ["camera_id", "at_us"])
    op.create_table(
        "garbage",
        sa.Column("id", Int, nullable=False),
        sa.Column("volume_id", Int, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("since_us", Int, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_garbage")),
        sa.UniqueConstraint("volume_id", "path", name=op.f("uq_garbage_volume_id_path")),
        sa.ForeignKeyConstraint(["volume_id"], ["volume.id"], name=op.f("fk_garbage_volume_id_volume")),
        sqlite_strict=True,
    )
    op.create_table(
        "alarm",
        sa.Column("id", Int, nullable=False),
        sa.Column("camera_id", Int, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("at_us", Int, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column(
            "unconnected",
            Int,
            sa.CheckConstraint("unconnected IN (0, 1)", name=op.f("ck_alarm_unconnected")),
            nullable=False,
        ),
        sa.Column("since_us", Int),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
        sa.UniqueConstraint("camera_id", "at_us", "rule", "source", name=op.f("uq_alarm_once")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_alarm_camera_id_camera")),
        sqlite_strict=True,
    )
    op.create_table(
        "alarm_link",
        sa.Column("camera_id", Int, nullable=False),
        sa.Column("known_us", Int, nullable=False),
        sa.Column("pin1", sa.Text, nullable=False),
        sa.Column("pin2", sa.Text, nullable=False),
        sa.Column(
            "motion", Int, sa.CheckConstraint("motion IN (0, 1)", name=op.f("ck_alarm_link_motion")), nullable=False
        ),
        sa.Column("heard", sa.Text, nullable=False),
        sa.Column("cut_us", Int),
        sa.PrimaryKeyConstraint("camera_id", name=op.f("pk_alarm_link")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_alarm_link_camera_id_camera")),
        sqlite_strict=True,
    )
    op.create_table(
        "clip",
        sa.Column("id", Int, nullable=False),
        sa.Column("camera_id", Int, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("alarm_at_us", Int, nullable=False),
        sa.Column("start_us", Int),
        sa.Column("until_us", Int),
        sa.Column("end_us", Int),
        sa.Column(
            "state",
            sa.Text,
            sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("ck_clip_state")),
            nullable=False,
        ),
        sa.Column("close_reason", sa.Text),
        sa.Column("locked", Int, sa.CheckConstraint("locked IN (0, 1)", name=op.f("ck_clip_locked")), nullable=False),
        sa.Column("path", sa.Text),
        sa.Column("volume_id", Int),
        sa.Column("files", Int, nullable=False),
        sa.Column("size_bytes", Int),
        sa.Column("pre_shortfall_us", Int, nullable=False),
        sa.Column("gap_us", Int),
        sa.Column(
            "linked",
            Int,
            sa.CheckConstraint("linked IN (0, 1)", name=op.f("ck_clip_linked")),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("continues", Int),
        sa.Column("exported_at_us", Int),
        sa.Column("epoch", Int, nullable=False),
        sa.Column("sha256", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clip")),
        sa.CheckConstraint("end_us >= start_us", name=op.f("ck_clip_span")),
        sa.CheckConstraint("(state = 'open') = (end_us IS NULL)", name=op.f("ck_clip_ended")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_clip_camera_id_camera")),
        sa.ForeignKeyConstraint(["volume_id"], ["volume.id"], name=op.f("fk_clip_volume_id_volume")),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_clip_camera_id_end_us"), "clip", ["camera_id", "end_us"])
    op.create_index("ix_clip_open", "clip", ["camera_id"], sqlite_where=sa.text("end_us IS NULL"))
    op.create_index("ix_clip_unexported", "clip", ["id"], sqlite_where=sa.text("exported_at_us IS NULL"))
    op.create_index(
        "ix_clip_unlocked", "clip", ["camera_id", "volume_id", "end_us"], sqlite_where=sa.text("locked = 0")
    )
    op.create_table(
        "clip_member",
        sa.Column("clip_id", Int, nullable=False),
        sa.Column("segment_id", Int, nullable=False),
        sa.Column("first_tick", Int, nullable=False),
        sa.Column("last_tick", Int, nullable=False),
        sa.PrimaryKeyConstraint("clip_id", "segment_id", name=op.f("pk_clip_member")),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], name=op.f("fk_clip_member_clip_id_clip")),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_clip_member_segment_id_segment")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_clip_member_segment_id"), "clip_member", ["segment_id"])
    op.create_table(
        "film",
        sa.Column("id", Int, nullable=False),
        sa.Column("camera_id", Int, nullable=False),
        sa.Column("volume_id", Int, nullable=False),
        sa.Column("start_us", Int, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("files", Int, nullable=False),
        sa.Column("size_bytes", Int, nullable=False),
        sa.Column("pictures", Int, nullable=False),
        sa.Column(
            "state",
            sa.Text,
            sa.CheckConstraint("state IN ('ok', 'missing', 'truncated')", name=op.f("ck_film_state")),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_film")),
        sa.CheckConstraint("files > 0 AND pictures > 0 AND size_bytes >= 0", name=op.f("ck_film_sizes")),
        sa.UniqueConstraint("camera_id", "start_us", name=op.f("uq_film_camera_id_start_us")),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.id"], name=op.f("fk_film_camera_id_camera")),
        sa.ForeignKeyConstraint(["volume_id"], ["volume.id"], name=op.f("fk_film_volume_id_volume")),
        sqlite_strict=True,
    )
    for trigger in _TRIGGERS:
        op.execute(trigger)


_TRIGGERS = (
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
