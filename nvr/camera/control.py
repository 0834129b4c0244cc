"""What one camera is asked and told through its parameter API (guide 5, 6).

One request at a time: the camera's processor is small, and steps that belong together must not mix. Neither a password
nor a value that was set is ever repeated in an error or a log line.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from nvr.camera.errors import CameraBusy, LinkError, LinkLost, LinkStalled, LoginRefused, NotACamera
from nvr.camera.link import Address, Link
from nvr.camera.turn import Turn
from nvr.clock import Clock
from nvr.jvc import catalogue, params
from nvr.jvc import log as camera_log
from nvr.jvc.alarm import Pin
from nvr.jvc.catalogue import Named, Role, Value
from nvr.jvc.errors import ApiRefused, ProtocolError, RecordingFull
from nvr.jvc.log import CameraLog
from nvr.jvc.params import Answer, AnswerParser, Login, Outcome
from nvr.units import US, UtcMicros

_T = TypeVar("_T")

_HTTP_PORT: Final = 80
_PRESETS: Final = range(100)  # guide 6.6
_OUTPUTS: Final = (1, 2)  # guide 6.5
_PULSE_MS: Final = range(100, 5001)  # guide 6.5; 0 stands for without end
_RESTART_PATIENCE: Final = 5  # times as long as the guide says a restart takes, before a camera counts as lost
_GOING_S: Final = 0.3  # a camera that restarts may still answer for a moment; then it would seem to be back already
_BACK_S: Final = 0.25
_MOVING_S: Final = 60.0  # for a camera to be found at its new address or port
_PINS: Final = {"make": Pin.MAKE, "break": Pin.BREAK}


class DayNight(StrEnum):
    """What the camera calls its B&W mode (guide 6.2, true_daynight): its infrared filter in, out, or by brightness."""

    COLOR = "color"
    BW = "bw"
    AUTO_LOW = "autoL"
    AUTO_MIDDLE = "autoM"
    AUTO_HIGH = "autoH"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Of one request, in seconds."""

    connect_s: float = 5.0
    answer_s: float = 10.0
    """From the request to the end of the answer."""
    quiet_s: float = 1.0
    """An answer is taken as whole after so long without a byte where the camera does not close (fact sheet 5.2)."""


@dataclass(frozen=True, slots=True)
class Written:
    """A parameter that was set."""

    name: str
    value: str
    """As the camera was told."""
    outcome: Outcome
    committed: str | None
    """What was said to make it last; None where it lasts at once, or was not wanted."""


class NotHeld(Exception):
    """The camera took a value, and tells another one afterwards."""

    def __init__(self, name: str, wanted: str, told: str) -> None:
        super().__init__(f"{name} was set to {wanted[:80]!r}, but the camera tells {told[:80]!r}")
        self.name = name


@dataclass(frozen=True, slots=True)
class LogReading:
    """The camera's log, and what is needed to place its times."""

    log: CameraLog
    camera_date: str
    """What system.date said; of unknown zone."""
    utc_us: UtcMicros
    """When it said so, by the host's clock."""


_USUAL: Final = Deadlines()


class Control:
    """One camera's parameter API. Each call raises LinkError where there is no answer, ApiRefused where it is no.

    ValueError is for what no camera of this family could be asked.
    """

    def __init__(
        self,
        address: Address,
        login: Login | None,
        clock: Clock,
        *,
        deadlines: Deadlines = _USUAL,
        turn: Turn | None = None,
        login_again: Callable[[], Login | None] = lambda: None,
    ) -> None:
        """Without `login` the camera is asked without one; it then refuses most, or all.

        `login_again` reads the login anew where the camera has refused it: it may have been changed since.
        """
        self.address = address
        self.requests = 0
        """Sent so far."""
        self.on_restart: Callable[[float], None] = lambda _seconds: None
        """Told, before the camera is told to restart, for about how long it will be away."""
        self.unsaved: dict[str, str] = {}
        """What was set through here and not made to last, by name; the value is what would make it last."""
        self._login = login
        self._clock = clock
        self._deadlines = deadlines
        self._login_again = login_again
        self._turn = turn or Turn()

    # Any parameter.

    async def get(self, name: str) -> str:
        """The value of a parameter, empty where it is blank."""
        async with self._turn:
            return await self._get(name)

    async def set(self, name: str, value: str, *, keep: str = "") -> Outcome:
        """Sets a parameter. `keep`: characters of the value that are not to be encoded (jvc.params.encoded)."""
        async with self._turn:
            return await self._set(name, value, keep=keep)

    async def report(self, name: str) -> tuple[str, ...]:
        """The lines of an answer of many lines, as sent (guide 6.18)."""
        async with self._turn:
            return await self._report(name)

    # Parameters of the catalogue: what cannot be is refused before anything is sent.

    async def read(self, name: str) -> Value:
        """A parameter's value. Raises ValueError where there is none to read, NotAllowed where our user may not."""
        named = catalogue.find(name)
        named.check_get(self.role)
        return named.value_of(await self.get(name))

    async def write(
        self, name: str, value: Value, *, commit: bool = False, verify: bool = False, position: int | None = None
    ) -> Written:
        """Sets a parameter, and if wanted makes it last and reads it back.

        `position`: the preset position that iris, white balance and back light compensation are to be kept with.
        Raises ValueError with the allowed values, NotAllowed, and NotHeld where the camera tells another value after.
        A commit may restart the camera: then it is back, at its address of before, when this returns.
        """
        named = catalogue.find(name)
        text = named.text_of(value)
        named.check_set(text, self.role)
        last = _commit_of(named, text, position)
        if commit and last.endswith("(n).status=save"):
            raise ValueError(f"{name} is kept with a preset position: say with which, 0 to 99")
        async with self._turn:
            outcome = await self._order(named, text)
            if not last:
                await self._await_restart(named, text)
            elif commit:
                await self._commit(last, then=(named.then,), then_at=_moved(self.address, named.name, text))
            else:
                self.unsaved[name] = last
            if verify and (commit or not last):
                await self._verify(named, text)
        return Written(name, text, outcome, last if commit and last else None)

    async def commit(self, order: str, *, then: Iterable[str] = (), then_at: Address | None = None) -> Outcome:
        """Says what makes changes last, such as `camera.status=save`; where it restarts the camera, waits for it.

        `then`: orders that set going again what was going before. `then_at`: where the camera is afterwards.
        """
        async with self._turn:
            return await self._commit(order, then=then, then_at=then_at)

    async def confirm(self, name: str, text: str) -> None:
        """Reads a parameter back. Raises NotHeld where it is another than that."""
        async with self._turn:
            await self._verify(catalogue.find(name), text)

    async def await_camera(self, within_s: float) -> None:
        """Returns once the camera answers again. Raises LinkError where it does not within that time."""
        async with self._turn:
            await self._await_camera(within_s)

    @property
    def role(self) -> Role | None:
        """Which of the camera's users we are; None for none of them."""
        user = self._login.user if self._login is not None else ""
        return Role(user) if user in {role.value for role in Role} else None

    def login_as(self, login: Login) -> None:
        """From now on: a password has been changed."""
        self._login = login

    # Inputs and outputs (guide 6.5, 6.20).

    async def input_pins(self) -> tuple[Pin, Pin]:
        """The states of inputs 1 and 2 now; UNKNOWN for a word the guide does not have."""
        async with self._turn:
            return await self._pin("input", 1), await self._pin("input", 2)

    async def output_pin(self, number: int) -> Pin:
        """The state of output 1 or 2 now."""
        _check_output(number)
        async with self._turn:
            return await self._pin("output", number)

    async def drive_output(self, number: int, state: Pin, for_ms: int = 0) -> Outcome:
        """Makes or breaks output 1 or 2: for 100 to 5000 ms, then back, or with 0 until it is told otherwise.

        The time is a setting of the camera (guide 6.5): it is written only where it is another.
        """
        _check_output(number)
        if state is Pin.UNKNOWN:
            raise ValueError("an output is made or broken")
        if for_ms and for_ms not in _PULSE_MS:
            raise ValueError(f"an output changes for {_PULSE_MS[0]} to {_PULSE_MS[-1]} ms, or with 0 for good")
        name = f"peripheral.output_pin.pin({number})"
        async with self._turn:
            if (await self._get(f"{name}.duration")).strip() != str(for_ms):
                await self._set(f"{name}.duration", str(for_ms))
            return await self._set(f"{name}.status", state.value)

    # Where it looks, and how (guide 6.2, 6.6).

    async def go_to_preset(self, number: int) -> Outcome:
        """Moves to a preset position, 0 to 99; 0 is home."""
        if number not in _PRESETS:
            raise ValueError(f"presets have numbers from {_PRESETS[0]} to {_PRESETS[-1]}, not {number}")
        return await self.set(f"camera.position({number}).status", "goto")

    async def preset(self) -> int | None:
        """The preset position the camera stands at, None where it has moved from it."""
        told = (await self.get("camera.status")).strip()
        return int(told) if told.isascii() and told.isdigit() and len(told) <= 2 else None

    async def day_night(self) -> DayNight | None:
        """The B&W mode; None for a word the guide does not have."""
        told = (await self.get("camera.image.true_daynight")).strip()
        return next((mode for mode in DayNight if mode.value.lower() == told.lower()), None)

    async def set_day_night(self, mode: DayNight) -> Outcome:
        """Changes the B&W mode at once; after a restart it is what was saved last (guide 6.2)."""
        return await self.set("camera.image.true_daynight", mode.value)

    # What it watches for (guide 6.6, 6.9).

    async def detects_motion(self) -> bool | None:
        """Whether motion detection is switched on; None for a word the guide does not have.

        It pauses while auto tracking moves the camera (guide 6.9).
        """
        return _flag(await self.get("camera.detection.status"))

    async def auto_tracks(self) -> bool | None:
        """Whether auto tracking is at work; False for a camera without it."""
        return await self._tracks(1)

    async def tracks_target(self) -> bool | None:
        """Whether intelligent tracking is at work; False for a firmware without it (guide 6.6)."""
        return await self._tracks(2)

    # What it says of itself (guide 6.15, 6.18).

    async def log(self) -> LogReading:
        """The camera's log, beside the camera's date at the same moment. Only admin may read it (guide 6.18)."""
        async with self._turn:
            log = camera_log.parse(await self._report(camera_log.NAME))
            before_us = self._clock.utc_us()
            date = await self._get(camera_log.DATE_NAME)
            return LogReading(log, date, UtcMicros((before_us + self._clock.utc_us()) // 2))

    # Steps of the above: whoever calls these has the turn.

    async def _get(self, name: str) -> str:
        return await self._ask(name, lambda name: params.get_request(self._host, name, self._login), params.value_of)

    async def _set(self, name: str, value: str, *, keep: str = "") -> Outcome:
        def request(name: str) -> bytes:
            return params.set_request(self._host, name, value, self._login, keep=keep)

        return await self._ask(name, request, params.outcome_of)

    async def _order(self, named: Named, text: str) -> Outcome:
        def request(name: str) -> bytes:
            if name != named.name:
                return params.set_request(self._host, name, text, self._login)
            return params.order(self._host, named, text, self._login)

        restart_s = _restart_s(named, text)
        if restart_s is not None:
            self.on_restart(restart_s)
        patient_s = named.answer_s(text) or self._deadlines.answer_s
        return await self._ask(
            named.name, request, params.outcome_of, answer_s=max(patient_s, self._deadlines.answer_s)
        )

    async def _commit(self, order: str, *, then: Iterable[str] = (), then_at: Address | None = None) -> Outcome:
        name, _, value = order.partition("=")
        named = catalogue.find(name)
        going = [one for one in dict.fromkeys(then) if one and await self._is_going(one)]
        outcome = await self._order(named, value)
        self.unsaved = {name: last for name, last in self.unsaved.items() if _saved_by(last) != _saved_by(order)}
        moves = then_at is not None and then_at != self.address
        self.address = then_at or self.address
        await self._await_restart(named, value)
        if moves:
            await self._await_camera(_MOVING_S)
        for one in going:
            name, _, value = one.partition("=")
            await self._order(catalogue.find(name), value)
        return outcome

    async def _is_going(self, order: str) -> bool:
        """An alarm action that is on, multicast that is being sent: it goes on afterwards with the changed settings."""
        return await self._get(order.partition("=")[0]) == "on"

    async def _await_restart(self, named: Named, value: str) -> None:
        restart_s = _restart_s(named, value)
        if restart_s is not None:
            self.unsaved.clear()
            await self._await_camera(restart_s * _RESTART_PATIENCE, going=True)

    async def _await_camera(self, within_s: float, *, going: bool = False) -> None:
        """`going`: it may still answer for a moment before it goes."""
        if going:
            await asyncio.sleep(_GOING_S)
        deadline_us = self._clock.mono_us() + within_s * US
        while True:
            try:
                await self._get("system.model")
            except LoginRefused:
                return  # it answers: after a return to the factory's settings it has other passwords
            except LinkError:
                if self._clock.mono_us() >= deadline_us:
                    raise
                await asyncio.sleep(_BACK_S)
            else:
                return

    async def _verify(self, named: Named, text: str) -> None:
        if not named.parameter.get or text in named.parameter.only_set:
            return
        told = await self._get(named.name)
        if not named.agree(text, told):
            raise NotHeld(named.name, text, told)

    async def _report(self, name: str) -> tuple[str, ...]:
        return await self._ask(name, lambda name: params.get_request(self._host, name, self._login), params.report_of)

    async def _pin(self, kind: str, number: int) -> Pin:
        told = await self._get(f"peripheral.{kind}_pin.pin({number}).status")
        return _PINS.get(told.strip().lower(), Pin.UNKNOWN)

    async def _tracks(self, kind: int) -> bool | None:
        try:
            return _flag(await self.get(f"camera.motion.auto_tracking({kind}).status"))
        except ApiRefused as refused:
            if refused.code == params.UNAUTHORIZED:
                raise
            return False

    async def _ask(
        self,
        name: str,
        request: Callable[[str], bytes],
        reader: Callable[[Answer, str], _T],
        *,
        answer_s: float | None = None,
    ) -> _T:
        """Asks by the guide's name, and by its misprint where the camera knows only that (fact sheet 5.4)."""
        within_s = self._deadlines.answer_s if answer_s is None else answer_s
        try:
            return await self._ask_anew(name, request, reader, within_s)
        except ApiRefused as refused:
            misprint = params.misprint_of(name)
            if misprint is None or refused.code == params.UNAUTHORIZED or isinstance(refused, RecordingFull):
                raise
            try:
                return await self._ask_once(misprint, request(misprint), reader, within_s)
            except ApiRefused:
                raise refused from None  # the camera's word on the name that was asked for

    async def _ask_anew(
        self, name: str, request: Callable[[str], bytes], reader: Callable[[Answer, str], _T], within_s: float
    ) -> _T:
        """The same with the login as it is kept now, where the camera has refused the one we had."""
        try:
            return await self._ask_once(name, request(name), reader, within_s)
        except LoginRefused:
            login = self._login_again()
            if login is None or login == self._login:
                raise
            self._login = login
            return await self._ask_once(name, request(name), reader, within_s)

    async def _ask_once(self, name: str, request: bytes, reader: Callable[[Answer, str], _T], within_s: float) -> _T:
        try:
            answer = await self._exchange(name, request, within_s)
            self._judge(name, answer)
            return reader(answer, name)
        except ProtocolError as broken:
            raise NotACamera(f"{broken}: is this a camera of this family?") from broken

    def _judge(self, name: str, answer: Answer) -> None:
        """Goes on with an answer of the API; raises what an answer of its HTTP server means."""
        told = f"{answer.status} {answer.reason}".strip()
        if answer.status in (401, 403):
            who = f"user {self._login.user}" if self._login is not None else "anybody without a login"
            raise LoginRefused(f"the camera refused {who} asking for {name}: {told}")
        if answer.status >= 500 and answer.line(name) is None:
            raise CameraBusy(f"the camera does not answer for {name} now: {told}")

    async def _exchange(self, name: str, request: bytes, within_s: float) -> Answer:
        """One connection: the request, and the answer to its end. Raises LinkError, ProtocolError."""
        ear = _Ear(name, self._deadlines.quiet_s)
        async with _link(ear) as link:
            ear.link = link
            await link.connect(self.address, self._deadlines.connect_s)
            self.requests += 1
            link.send(request)
            try:
                async with asyncio.timeout(within_s):
                    await link.ended()
            except _Closed:
                pass  # the usual end of an answer (guide 5.1)
            except TimeoutError:
                if not ear.parser.is_answered:
                    waited = f"{within_s:g} s"
                    raise LinkStalled(f"asked for {name}, the camera has not answered in {waited}") from None
            return ear.answer()

    @property
    def _host(self) -> str:
        host, port = self.address
        name = f"[{host}]" if ":" in host else host
        return name if port == _HTTP_PORT else f"{name}:{port}"


class _Closed(LinkLost):
    """The camera closed the connection: the end of what it had to say."""


class _Ear:
    """Who the link of one request is for."""

    def __init__(self, name: str, quiet_s: float) -> None:
        self.parser = AnswerParser()
        self.link: Link | None = None
        self._name = name
        self._quiet_s = quiet_s
        self._quiet: asyncio.TimerHandle | None = None
        self._received = 0

    def take(self, data: memoryview) -> None:
        self._received += len(data)
        self.parser.feed(data)
        self._forget_timer()
        if self.link is None:
            return
        if self.parser.is_whole:
            self.link.end()
        elif self.parser.is_answered:
            self._quiet = asyncio.get_running_loop().call_later(self._quiet_s, self.link.end)

    def at_end(self) -> LinkError:
        self._forget_timer()
        return _Closed("the camera closed the connection")

    def answer(self) -> Answer:
        """What came. Raises CameraBusy where nothing did, ProtocolError where it is no answer."""
        self._forget_timer()
        if not self._received:
            raise CameraBusy(f"asked for {self._name}, the camera closed without an answer")
        return self.parser.finish()

    def _forget_timer(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None


@asynccontextmanager
async def _link(ear: _Ear) -> AsyncIterator[Link]:
    link = Link(ear)
    try:
        yield link
    finally:
        await link.close()


def _commit_of(named: Named, text: str, position: int | None) -> str:
    commit = named.commit_of(text)
    return commit if position is None else commit.replace("(n)", f"({position})", 1)


def _moved(address: Address, name: str, value: str) -> Address:
    """Where the camera is once that value holds."""
    match name:
        case "network.interface.ip":
            return value, address[1]
        case "network.http.port":
            return address[0], int(value)
    return address


def _restart_s(named: Named, value: str) -> float | None:
    """For how long the camera is away after this order; None where it stays."""
    seconds = named.parameter.restart_seconds
    return None if seconds is None else float(seconds)


def _saved_by(order: str) -> str:
    """Either saves all of both (guide 6.3)."""
    return order.replace("encode(2)", "encode(1)")


def _check_output(number: int) -> None:
    if number not in _OUTPUTS:
        raise ValueError(f"a camera has outputs {_OUTPUTS[0]} and {_OUTPUTS[-1]}, not {number}")


def _flag(told: str) -> bool | None:
    return {"on": True, "moving": True, "off": False, "stop": False}.get(told.strip().lower())
