"""`nvr`: finds the command, and turns whatever ends it into one sentence and an exit code.

The daemon's process comes through here as well, so nothing heavy is imported before the command is known.
"""

import sys
from collections.abc import Sequence

EXIT_NOT_WELL = 1
EXIT_WRONG_USE = 2
EXIT_INTERRUPTED = 130  # as a shell reports a program that SIGINT ended


def main() -> None:
    """The console script."""
    sys.exit(answer(sys.argv[1:]))


def answer(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Nothing but SystemExit comes out."""
    try:
        return _command([word for word in arguments if word != "--debug" or _is_daemon(arguments)])
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last door: a person gets a sentence, never a traceback
        return _explained(error, debug="--debug" in arguments, daemon=_is_daemon(arguments))


def _is_daemon(arguments: Sequence[str]) -> bool:
    return arguments[:1] == ["run"]


def _command(words: list[str]) -> int:
    match words:
        case ["run", *rest]:
            # The daemon is this process for years: no shell library may come with it.
            from nvr.cli.run import run

            return run(rest)
        case ["simulate", *rest]:
            from nvr.simulator.command import main as simulate

            return simulate(rest)
        case _:
            from nvr.cli.shell import shell

            return shell(words)


def _explained(error: Exception, *, debug: bool, daemon: bool) -> int:
    import traceback

    from nvr.cli.errors import NotWellError, WrongUseError
    from nvr.config import ConfigError

    if debug:
        traceback.print_exception(error)
    if isinstance(error, ConfigError):
        return _said([error, *error.others], EXIT_WRONG_USE)
    if isinstance(error, WrongUseError) or _is_of(error, "nvr.web.listening"):
        return _said([error], EXIT_WRONG_USE)
    if isinstance(error, NotWellError) or _is_of(error, "nvr.store.errors"):
        return _said([error], EXIT_NOT_WELL)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return _said([f"{where}{error.strerror.lower()}"], EXIT_NOT_WELL)
    if daemon and not debug:
        traceback.print_exception(error)  # into the journal: nobody can ask the same of a daemon again
    told = f"{type(error).__name__}: {' '.join(str(error).split())}"
    hint = "" if debug or daemon else "; the same command with --debug shows where"
    return _said([f"this is a bug in nvr ({told[:300]}){hint}"], EXIT_NOT_WELL)


def _is_of(error: Exception, module: str) -> bool:
    """Told by name: a command that never loaded that module need not load it to say so."""
    return type(error).__module__ == module


def _said(sentences: Sequence[object], code: int) -> int:
    for sentence in sentences:
        sys.stderr.write(f"nvr: {sentence}\n")
    return code
