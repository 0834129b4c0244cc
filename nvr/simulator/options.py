"""What a simulated camera is: values a test or a command line chooses, checked once."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Literal

FRAME_SIZES: Final = {"vga": (640, 480), "qvga": (320, 240)}
"""Width and height by the camera's own words (guide 6.3, encode(2).framesize)."""
FRAME_RATES: Final = tuple(Fraction(text) for text in ("30", "25", "15", "10", "7.5", "6", "5", "3", "2", "1"))
"""What the camera is told as encode(2).framerate (guide 6.3 and fact sheet 1.1), pictures a second."""
MODELS: Final = ("VN-V685U", "VN-V686U", "VN-V686BU")

_MAX_RESOLUTION: Final = 65_535  # 16 bits in the VOL
_LAST_PORT: Final = 65_535
_RATE_RANGE: Final = (Fraction(1, 60), Fraction(60))
_SIMULATED_BITRATES: Final = range(16_000, 20_000_001)  # the guide's 64000 to 8000000, and what a test may want beyond


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How the MPEG-4 stream is made; changeable while it runs. Raises ValueError for what no stream can be."""

    frame_size: str = "vga"
    frame_rate: Fraction = Fraction(30)
    """Pictures a second; one picture must be a whole number of ticks."""
    i_interval: int = 30
    """VOPs from one I-VOP to the next, 1 (all I) to 255."""
    bitrate_bps: int = 2_000_000
    resolution: int = 30_000
    """vop_time_increment_resolution of the VOL: ticks a second."""

    def __post_init__(self) -> None:
        if self.frame_size not in FRAME_SIZES:
            raise ValueError(f"frame size {self.frame_size!r} is none of {', '.join(FRAME_SIZES)}")
        if not _RATE_RANGE[0] <= self.frame_rate <= _RATE_RANGE[1]:
            raise ValueError(f"frame rate {self.frame_rate} is not from {_RATE_RANGE[0]} to {_RATE_RANGE[1]}")
        if not 1 <= self.i_interval <= 255:
            raise ValueError(f"I-VOP interval {self.i_interval} is not from 1 to 255")
        if self.bitrate_bps not in _SIMULATED_BITRATES:
            raise ValueError(f"bit rate {self.bitrate_bps} is not from 16000 to 20000000")
        if not 1 <= self.resolution <= _MAX_RESOLUTION:
            raise ValueError(f"time resolution {self.resolution} is not from 1 to {_MAX_RESOLUTION}")
        if (Fraction(self.resolution) / self.frame_rate).denominator != 1:
            raise ValueError(f"at resolution {self.resolution} a picture of 1/{self.frame_rate} s is no whole tick")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return FRAME_SIZES[self.frame_size]

    @property
    def ticks_per_picture(self) -> int:
        return int(Fraction(self.resolution) / self.frame_rate)

    @property
    def rate_text(self) -> str:
        """The frame rate as the camera writes it: 30, 7.5."""
        return f"{float(self.frame_rate):g}"


@dataclass(frozen=True, slots=True)
class Framing:
    """How parts look where the guide leaves it open (fact sheet 1.3, 2.2)."""

    delimiter: str = "--foo"
    """The line before each part: --foo, -foo or ----foo."""
    boundary: str = "--foo"
    """The value in the answer's Content-Type."""
    crlf_after_part: bool = True
    head: Literal["multipart", "mp4v-es"] = "multipart"
    """The answer's Content-Type with ptz_info=on."""
    headers_apart: bool = False
    """VOL, user data and GOV in a part of their own instead of that of their I-VOP."""
    folded_response_line: bool = False
    """The x-vn…_response line folded onto two, as the guide prints it."""
    closing_delimiter: bool = False
    """`--foo--` where the camera itself ends a stream."""


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """One camera. Ports of 0 are chosen free. Raises ValueError for what makes no sense."""

    host: str = "127.0.0.1"
    http_port: int = 0
    alarm_port: int = 0
    search_port: int | None = None
    """UDP; the camera's own is 80. None: no search."""
    model: str = "VN-V685U"
    firmware: str = "V3-00"
    """Of every part of it."""
    camera_id: str = "Camera01"
    passwords: dict[str, str] = field(default_factory=lambda: dict.fromkeys(("admin", "operator", "user"), ""))
    """By user; an empty one stands for the model's default: jvc, for VN-V686 vn-v686 (fact sheet 5.1)."""
    encode: EncodeSettings = EncodeSettings()
    framing: Framing = Framing()
    join: Literal["live", "key"] = "live"
    """A new client gets the stream from the next VOP on (guide 2.5), or from the next I-VOP."""
    position: tuple[int, int, int] = (0, 500, 0)
    """Pan, tilt, zoom at start in hundredths, as in the X lines (guide 2.1)."""
    sweep_degrees_s: float = 0.0
    """The camera pans without end at this speed; 0 is at rest."""
    clock_offset_s: float = 0.0
    """The camera's clock minus the host's at start."""
    clock_drift_ppm: float = 0.0
    """How much too fast the camera's clock runs, its frame pacing included."""
    video_clients: int = 20
    """Streams at once (system.session.sending_max, fact sheet 1.6); the next is answered 503."""
    send_buffer_bytes: int = 131_072
    """SO_SNDBUF of a video connection: how much a slow client may lie behind in the camera's TCP."""
    queue_bytes: int = 131_072
    """What may wait on top of that before VOPs are dropped whole; bounds memory, a whole VOP always fits."""
    alarm_greeting: bool = True
    """A block with the present state at connect (fact sheet 4: unknown)."""
    alarm_pieces: int = 0
    """Reports leave in pieces of so many bytes; 0 is whole."""
    alarm_cut_s: float = 0.0
    """Alarm links are closed after so long; 0 is never."""
    alarm_off: bool = True
    """A block also when motion ends (fact sheet 4: unknown)."""
    logs_alarms: bool = True
    """Alarms are in system.log (guide 6.18)."""
    alarm_text_end: bytes = b""
    """What ends the text of tcpto and udpto (fact sheet 4: unknown)."""
    multicast_jfif: bool = False
    """Multicast JPEG as pieces of the file instead of RFC 2435 (fact sheet 6: unknown)."""
    auth_error_in_body: bool = False
    """A refused login as `name&401 Unauthorized` under HTTP 200 (fact sheet 5.2: unknown) instead of HTTP 401."""
    restart_s: float = 3.0
    """How long system.status=restart takes; a real one needs about a minute (fact sheet 5.4)."""
    trace_s: float = 30.0
    """The longest auto trace recording (guide 6.6)."""
    trace_moves: int = 64
    """The most moves in one; the guide names no number."""
    user_data_1: bytes = b"\xff" * 8
    """Content of the reserved user data."""
    fixed_vop_rate: bool = False
    keep_sent: int = 20_000
    """SentVop records kept in memory; the oldest go first."""
    keep_bytes: bool = False
    """Each SentVop keeps its bytes; for short tests."""
    seed: int = 1
    """Of everything random: noise, garbage, search delay."""

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"model {self.model!r} is none of {', '.join(MODELS)}")
        if len(self.camera_id.encode("utf-8")) > 40:
            raise ValueError("a camera id has at most 40 bytes (guide 6.2)")
        pan, tilt, zoom = self.position
        if not (0 <= pan <= 35_999 and 0 <= tilt <= 19_000 and 0 <= zoom <= 9_999):
            raise ValueError(f"position {self.position} is outside 0..35999, 0..19000, 0..9999")
        for port in (self.http_port, self.alarm_port, self.search_port or 0):
            if not 0 <= port <= _LAST_PORT:
                raise ValueError(f"port {port} is not from 0 to {_LAST_PORT}")
        if min(self.video_clients, self.send_buffer_bytes, self.queue_bytes, self.alarm_pieces, self.keep_sent) < 0:
            raise ValueError("a count or a size of bytes cannot be negative")
        if self.framing.delimiter not in ("--foo", "-foo", "----foo"):
            raise ValueError(f"delimiter {self.framing.delimiter!r} is none of -foo, --foo, ----foo")
        if b"\x00\x00\x01" in self.user_data_1:
            raise ValueError("user data cannot contain a start code")

    @property
    def family(self) -> str:
        """The model without its market suffix: VN-V685."""
        return self.model.removesuffix("U")

    @property
    def response_header(self) -> str:
        """x-vnv685_response; VN-V686B is taken to say x-vnv686_response (fact sheet 1.2: unknown)."""
        return f"x-vnv{self.family[4:7]}_response"

    def password(self, user: str) -> str | None:
        """The password a user starts with, None for an unknown user."""
        if user not in self.passwords:
            return None
        return self.passwords[user] or ("vn-v686" if self.family == "VN-V686" else "jvc")
