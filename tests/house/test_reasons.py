"""Every reason for time without footage can happen, is written down with who says it, and is tested there."""

import re
from pathlib import Path

from nvr.metrics import GAP_REASONS
from nvr.store.ledger import OFF_REASONS

HOME = Path(__file__).parents[2]


def _rows() -> list[tuple[list[str], list[str], list[str]]]:
    """Of the store's README: reasons, the modules named first as who says them, tests."""
    text = (HOME / "nvr/store/README.md").read_text()
    section = text[text.index("## Every second") : text.index("## The index")]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [tuple(re.findall(r"`([^`]+)`", cell) for cell in row) for row in rows]  # type: ignore[misc]


def test_the_table_of_reasons_names_each_of_them_once() -> None:
    told = [reason for reasons, _, _ in _rows() for reason in reasons]
    assert sorted(told) == sorted((*GAP_REASONS, *OFF_REASONS))


def test_who_says_a_reason_says_it_and_a_test_speaks_of_it() -> None:
    for reasons, said_by, tested_in in _rows():
        sources = [path for name in said_by if (path := HOME / "nvr" / f"{name.replace('.', '/')}.py").exists()]
        assert sources, said_by
        text = "".join(path.read_text() for path in sources)
        tests = "".join((HOME / "tests" / f"{name}.py").read_text() for name in tested_in)
        for reason in reasons:
            assert f'"{reason}"' in text, f"{reason}: not said by {said_by}"
            assert reason in tests, f"{reason}: not tested in {tested_in}"
