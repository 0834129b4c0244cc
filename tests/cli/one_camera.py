"""A configuration with one simulated camera in a process of its own, for commands that ask a camera."""

import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nvr.cli.main import answer

NVR = Path(sys.executable).parent / "nvr"


@dataclass
class Place:
    """A configuration with one simulated camera."""

    folder: Path
    port: int
    capture: pytest.CaptureFixture[str]
    complaint: str = ""
    """What the last command said on stderr."""

    def nvr(self, *words: str, expect: int = 0) -> str:
        """What a command prints."""
        self.capture.readouterr()
        code = answer([*words, "--config", str(self.folder / "config.toml")])
        said = self.capture.readouterr()
        self.complaint = said.err
        assert code == expect, said.err
        return said.out

    def camera(self, command: str, *words: str, expect: int = 0) -> str:
        return self.nvr("camera", command, "--camera", "gate", *words, expect=expect)

    def configure(self, login: str = 'user = "admin"\npassword_file = "gate.password"') -> None:
        (self.folder / "config.toml").write_text(
            f'data_dir = "{self.folder}"\n[[volume]]\nname = "main"\npath = "{self.folder}/footage"\n'
            f'[camera.gate]\nhost = "127.0.0.1"\nhttp_port = {self.port}\n{login}\n'
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
