"""The revisions make what the tables say, whole or not at all, and keep every row."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from nvr.store import schema, upgrade
from nvr.store.errors import DiskFull, IndexDamaged, SchemaTooNew
from nvr.store.tables import APPLICATION_ID, SCHEMA_VERSION


def described(path: Path) -> list[tuple[str, str, str]]:
    """The schema as SQLite keeps it, spaces aside."""
    with closing(sqlite3.connect(path)) as rows:
        found = rows.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name")
        return [
            (kind, name, " ".join(sql.replace("(", " ( ").replace(")", " ) ").split())) for kind, name, sql in found
        ]


def _spaced(sql: str) -> str:
    return " ".join(sql.replace("(", " ( ").replace(")", " ) ").split())


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as rows:
        return rows.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / schema.INDEX_NAME


@pytest.fixture
def revisions(tmp_path: Path) -> Path:
    """A copy of the revisions that a test may add to."""
    copy = tmp_path / "migrations"
    shutil.copytree(schema.migrations_directory(), copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def revise(revisions: Path, body: str, number: int = SCHEMA_VERSION + 1) -> None:
    names = f'revision = "{number:04}"\ndown_revision = "{number - 1:04}"\n'
    head = f"import sqlalchemy as sa\nfrom alembic import op\n{names}"
    (revisions / "versions" / f"{number:04}_test.py").write_text(head + "def upgrade():\n" + _indented(body))


def _indented(body: str) -> str:
    return "".join(f"    {line}\n" for line in dedent(body).strip().splitlines())


def filled(index: Path) -> None:
    schema.prepare(index)
    with closing(sqlite3.connect(index)) as rows, rows:
        rows.execute("INSERT INTO camera (id, slug, configured_at_us) VALUES (1, 'gate', 5)")
        rows.execute("INSERT INTO volume (id, name, uuid) VALUES (1, 'main', 'u')")
        rows.execute(
            "INSERT INTO run VALUES (7, 1, 'gate', 5, 'connected', NULL, NULL, 0, 'stream', 5, 0, 1, 0, NULL, NULL)"
        )
        for seq in range(100):
            rows.execute(
                "INSERT INTO segment VALUES (NULL, 1, 7, ?, 1, ?, ?, 1, 1, 1, 90000, 0, 1, 0, 'ok', NULL)",
                (seq, seq * 10, seq * 10 + 10),
            )


def segments(index: Path) -> int:
    with closing(sqlite3.connect(index)) as rows:
        return int(rows.execute("SELECT count(*) FROM segment").fetchone()[0])


def test_empty_to_head_equals_a_new_index(tmp_path: Path) -> None:
    new, upgraded = tmp_path / "new.sqlite3", tmp_path / "upgraded.sqlite3"
    schema.prepare(new)
    upgrade.upgrade(upgraded, schema.migrations_directory())
    assert described(upgraded) == described(new)
    for name in ("user_version", "application_id"):
        assert pragma(upgraded, name) == pragma(new, name)
    assert pragma(new, "user_version") == SCHEMA_VERSION
    assert pragma(new, "application_id") == APPLICATION_ID
    with closing(sqlite3.connect(new)) as one, closing(sqlite3.connect(upgraded)) as other:
        revision = "SELECT version_num FROM alembic_version"
        assert one.execute(revision).fetchall() == other.execute(revision).fetchall() == [(f"{SCHEMA_VERSION:04}",)]


def test_an_index_that_is_ready_is_left_alone_and_alembic_is_not_loaded(index: Path) -> None:
    assert schema.prepare(index) is None
    before = index.read_bytes()
    code = (
        "import sys; from pathlib import Path; from nvr.store import schema;"
        "assert schema.prepare(Path(sys.argv[1])) is None;"
        "print(sorted(name for name in sys.modules if name.startswith(('alembic', 'mako'))))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(index)], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout == "[]\n"
    assert index.read_bytes() == before
    assert not (index.parent / schema.BACKUPS_NAME).exists()


def test_a_pending_revision_runs_after_a_copy_and_keeps_every_row(index: Path, revisions: Path) -> None:
    filled(index)
    revise(revisions, 'op.add_column("camera", sa.Column("remark", sa.Text))')
    copy = schema.prepare(index, migrations=revisions, version=SCHEMA_VERSION + 1)
    assert pragma(index, "user_version") == SCHEMA_VERSION + 1
    assert segments(index) == 100
    assert any(name == "camera" and "remark" in sql for _, name, sql in described(index))
    assert copy is not None
    assert copy.parent == index.parent / schema.BACKUPS_NAME
    assert pragma(copy, "user_version") == SCHEMA_VERSION
    assert segments(copy) == 100
    assert [path.suffix for path in copy.parent.iterdir()] == [".sqlite3"]


def test_rebuilding_a_parent_table_does_not_empty_its_children(index: Path, revisions: Path) -> None:
    filled(index)
    revise(
        revisions,
        'with op.batch_alter_table("camera") as camera:\n    camera.alter_column("slug", new_column_name="name")',
    )
    schema.prepare(index, migrations=revisions, version=SCHEMA_VERSION + 1)
    assert segments(index) == 100
    with closing(sqlite3.connect(index)) as rows:
        assert rows.execute("SELECT name FROM camera").fetchall() == [("gate",)]
        assert rows.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            'op.add_column("camera", sa.Column("remark", sa.Text))\nraise ValueError("the second half failed")',
            "second half",
        ),
        ('op.add_column("camera", sa.Column("remark", sa.Text))\nop.execute("SELECT nonsense")', "nonsense"),
        ('op.execute("DELETE FROM run")', "100 rows would refer to nothing"),
    ],
)
def test_a_revision_that_fails_leaves_the_index_as_it_was(index: Path, revisions: Path, body: str, said: str) -> None:
    filled(index)
    before = described(index)
    revise(revisions, body)
    with pytest.raises(IndexDamaged, match=rf"could not be upgraded and is as before \(a copy is .*{said}"):
        schema.prepare(index, migrations=revisions, version=SCHEMA_VERSION + 1)
    assert described(index) == before
    assert pragma(index, "user_version") == SCHEMA_VERSION
    assert segments(index) == 100


def test_a_disk_that_fills_up_during_an_upgrade_is_told_as_such(index: Path, revisions: Path) -> None:
    filled(index)
    revise(
        revisions, 'op.execute("PRAGMA max_page_count=1")\nop.execute("CREATE TABLE much AS SELECT zeroblob(1000000)")'
    )
    with pytest.raises(DiskFull, match="as before"):
        schema.prepare(index, migrations=revisions, version=SCHEMA_VERSION + 1)
    assert segments(index) == 100


def test_several_pending_revisions_are_one_step(index: Path, revisions: Path) -> None:
    filled(index)
    revise(revisions, 'op.add_column("camera", sa.Column("remark", sa.Text))', SCHEMA_VERSION + 1)
    revise(revisions, 'raise ValueError("the second one failed")', SCHEMA_VERSION + 2)
    with pytest.raises(IndexDamaged, match="the second one failed"):
        schema.prepare(index, migrations=revisions, version=SCHEMA_VERSION + 2)
    assert pragma(index, "user_version") == SCHEMA_VERSION
    assert not any("remark" in sql for _, _, sql in described(index))


def test_an_index_of_a_newer_nvr_is_refused_and_untouched(index: Path) -> None:
    schema.prepare(index, version=SCHEMA_VERSION)
    with closing(sqlite3.connect(index)) as rows:
        rows.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    before = index.read_bytes()
    with pytest.raises(SchemaTooNew, match="install the newer nvr again, or restore a copy"):
        schema.prepare(index)
    assert index.read_bytes() == before


def test_what_is_no_index_is_refused_and_untouched(index: Path) -> None:
    with closing(sqlite3.connect(index)) as rows:
        rows.execute("CREATE TABLE somebody_elses (thing)")
    with pytest.raises(IndexDamaged, match="not an index of nvr"):
        schema.prepare(index)
    index.write_bytes(b"not even a database " * 500)
    with pytest.raises(IndexDamaged, match="not a database"):
        schema.prepare(index)
    assert index.read_bytes() == b"not even a database " * 500


def test_a_damaged_index_is_not_upgraded(index: Path, revisions: Path) -> None:
    filled(index)
    revise(revisions, 'op.add_column("camera", sa.Column("remark", sa.Text))')
    whole = bytearray(index.read_bytes())
    for page in range(5, len(whole) // 4096):
        whole[page * 4096 : page * 4096 + 512] = b"\xaa" * 512
    index.write_bytes(whole)
    with pytest.raises(IndexDamaged):
        schema.prepare(index, migrations=revisions, version=SCHEMA_VERSION + 1)
    assert index.read_bytes() == bytes(whole)


def test_a_start_that_was_cut_off_before_the_first_table_begins_anew(index: Path) -> None:
    index.touch()
    assert schema.prepare(index) is None
    assert pragma(index, "user_version") == SCHEMA_VERSION


def test_an_index_of_ours_without_any_table_is_upgraded_from_nothing(index: Path) -> None:
    with closing(sqlite3.connect(index)) as rows:
        rows.execute(f"PRAGMA application_id={APPLICATION_ID}")
        rows.execute("VACUUM")
    assert schema.prepare(index) is not None
    assert pragma(index, "user_version") == SCHEMA_VERSION


def test_the_revisions_of_a_checkout_lie_beside_the_package_and_those_of_a_wheel_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = schema.migrations_directory()
    assert (beside / "versions").is_dir()
    assert beside.name == "migrations"
    package = tmp_path / "nvr"
    shutil.copytree(beside, package / "migrations")
    monkeypatch.setattr(schema, "_PACKAGE", package)
    assert schema.migrations_directory() == package / "migrations"
    shutil.rmtree(package)
    with pytest.raises(FileNotFoundError, match="not whole"):
        schema.migrations_directory()
