"""How commands print: tables for people, JSON for machines, and nothing that looks different by accident."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nvr.units import size_text

__all__ = [
    "ConfigOption",
    "JsonOption",
    "note",
    "print_json",
    "print_json_list",
    "print_table",
    "progress",
    "size_text",
]

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file  [default: /etc/nvr/config.toml, ./config.toml]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

_ROWS_AT_ONCE: Final = 500  # so that a list of a year begins to appear at once


def print_json(value: Any) -> None:
    """One value, for a machine."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_json_list(items: Iterable[Any]) -> None:
    """A list, written as it comes: one item a line, never all in memory."""
    out = sys.stdout
    separator = "[\n"
    for item in items:
        out.write(separator + json.dumps(item, ensure_ascii=False))
        separator = ",\n"
    out.write("[]\n" if separator == "[\n" else "\n]\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Columns under headings: in colour on a terminal, else plain lines for grep and awk. How many rows there were."""
    remaining = iter(rows)
    printed = 0
    while page := [[str(cell) for cell in row] for row in islice(remaining, _ROWS_AT_ONCE)]:
        if sys.stdout.isatty():
            _print_page_in_colour(columns, page, first=printed == 0)
        else:
            _print_page_plain(columns, page, first=printed == 0)
        printed += len(page)
    return printed


@contextmanager
def progress(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, else nothing; on stderr, so that what is printed stays clean. To be told done and total."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def note(sentence: str) -> None:
    """Something to know beside the answer; on stderr, so that the answer stays clean."""
    sys.stderr.write(f"nvr: {sentence}\n")


def _print_page_plain(columns: Sequence[str], page: list[list[str]], *, first: bool) -> None:
    lines = [list(columns), *page] if first else page
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    sys.stdout.writelines(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _print_page_in_colour(columns: Sequence[str], page: list[list[str]], *, first: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=first, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in page:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(table)


_STYLES: Final = {
    "recording": "green",
    "recorded": "green",
    "connecting": "yellow",
    "buffering": "cyan",
    "blocked": "bold red",
    "failed": "bold red",
    "gap": "red",
    "off": "dim",
    "well": "green",
    "doubtful": "yellow",
    "wrong": "bold red",
}
