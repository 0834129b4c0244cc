"""Runs a command as systemd would under nvr's unit, as far as that can be done without systemd: as root, see `main`.

A user of its own without any privilege and none to gain, a file system that is read-only but for the folders named, no
memory that is written and executed, and the unit's own filter of system calls, by the library that systemd uses.
"""

import ctypes
import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

UNIT: Final = Path(__file__).parents[2] / "systemd/nvr.service"
USER: Final = 65_534  # nobody: no file of any machine is its own

_CLONE_NEWNS: Final = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MNT_DETACH: Final = 2
_MOUNT_SETATTR: Final = 442
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = -100, 0x8000, 1
_PR_SET_MDWE, _PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 65, 38, 24
_SCMP_ALLOW: Final = 0x7FFF0000
_SCMP_EPERM: Final = 0x00050000 | errno.EPERM

_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def main(writable: list[str], command: list[str]) -> None:
    """Becomes the command."""
    _read_only_but(writable)
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    _done(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _done(_libc.prctl(_PR_SET_MDWE, 1, 0, 0, 0), "no memory written and executed")
    _filter(allowed_calls(UNIT.read_text()))
    os.execv(command[0], command)


def impossible() -> str | None:
    """Why a process cannot be restricted so on this machine; None where it can."""
    if os.getuid() != 0:
        return "only root can restrict a process so"
    try:
        tried = subprocess.run(
            [sys.executable, __file__, "/var/tmp", "--", "/bin/true"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    # A container without the right to mount, a kernel before 6.3 without PR_SET_MDWE, no systemd-analyze.
    return None if tried.returncode == 0 else tried.stderr.strip().rpartition("\n")[2]


def allowed_calls(unit: str) -> set[str]:
    """The system calls that the unit's SystemCallFilter lines leave."""
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        calls = set().union(*map(_calls_of, line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def _calls_of(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    told = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
    words = [line.strip() for line in told.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*map(_calls_of, words))


def _read_only_but(writable: list[str]) -> None:
    _done(_libc.unshare(_CLONE_NEWNS), "a view of the file system of its own")
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    _let_go_of_loops()
    _reveal(Path(sys.base_prefix))
    for folder in writable:
        _mount(folder, folder, _MS_BIND)
    _set_attributes("/", set_=_MOUNT_ATTR_RDONLY)
    for folder in writable:
        _set_attributes(folder, clear=_MOUNT_ATTR_RDONLY)


def _let_go_of_loops() -> None:
    """Disks of other tests, whose power is cut meanwhile: what is mounted here as well cannot be mounted anew."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        device, target = line.split()[:2]
        if device.startswith("/dev/loop"):
            _done(_libc.umount2(target.encode(), _MNT_DETACH), f"letting go of {target}")


def _reveal(python: Path) -> None:
    """Where Python lives in root's home it is shown to others, and nothing else of that home is."""
    home = Path("/root")
    if not python.is_relative_to(home):
        return
    handle = os.open(python, os.O_PATH)
    _mount("none", str(home), 0, kind="tmpfs")
    home.chmod(0o755)
    python.mkdir(parents=True)
    _mount(f"/proc/self/fd/{handle}", str(python), _MS_BIND)
    os.close(handle)


def _mount(source: str, target: str, flags: int, kind: str | None = None) -> None:
    done = _libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), None)
    _done(done, f"mounting {target}")


def _set_attributes(path: str, *, set_: int = 0, clear: int = 0) -> None:
    attributes = _Attributes(set_, clear, 0, 0)
    size = ctypes.sizeof(attributes)
    done = _libc.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, path.encode(), _AT_RECURSIVE, ctypes.byref(attributes), ctypes.c_size_t(size)
    )
    _done(done, f"making {path} read-only or not")


def _filter(allowed: set[str]) -> None:
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_SCMP_EPERM)))
    for name in allowed:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # the others are of other architectures
            _done(-bool(seccomp.seccomp_rule_add_array(context, _SCMP_ALLOW, number, 0, None)), f"allowing {name}")
    _done(-bool(seccomp.seccomp_load(context)), "the filter of system calls")


def _done(answer: int, what: str) -> None:
    if answer < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    at = sys.argv.index("--")
    main(sys.argv[1:at], sys.argv[at + 1 :])
