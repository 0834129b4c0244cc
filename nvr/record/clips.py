"""Decides which footage is a clip: from before an alarm until after it, linked where it gets too long.

Pure: told what asks for footage, which I-VOPs are kept and when keeping ends; answers steps. One camera has one desk.
A rule has at most one open clip, which its further triggers extend; each rule has its own window over the footage.

A clip begins at the last kept I-VOP at or before alarm − pre. What is missing there is its shortfall. It ends with the
first frame at or after the last trigger + post; where its state lasts, at or after the end of that state + post. At the
first I-VOP past the longest time it closes, and a clip that continues it opens there: no frame is missing between them.
A step of the host's clock does the same, since no clip can tell two times.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nvr.store.rows import BeginClip, CloseClip, ExtendClip, OpenClip
from nvr.store.rows import ClipStep as Step
from nvr.units import US

__all__ = ["NEVER_US", "BeginClip", "Call", "ClipDesk", "CloseClip", "ExtendClip", "OpenClip", "Step"]

NEVER_US: Final = 1 << 62
"""Later than every moment."""

_LATE_US: Final = 5 * US  # frames wait behind low-water marks and networks; a clip waits this long for its last one
_MOST_GROUPS: Final = 8192  # a minute of pre-roll at 30 I-VOPs a second is 1800


@dataclass(frozen=True, slots=True)
class Call:
    """What asks for footage: a rule's trigger at a moment."""

    rule: str
    trigger: str
    at_us: int
    pre_us: int
    post_us: int
    lasts: bool = False
    """Its state goes on until `ClipDesk.over`."""

    @property
    def from_us(self) -> int:
        """From where on footage is wanted."""
        return self.at_us - self.pre_us

    @property
    def until_us(self) -> int:
        """Up to where footage is wanted, at least."""
        return self.at_us + self.post_us


class _Group:
    """A kept group of pictures, from its I-VOP to where the next begins or keeping ended."""

    __slots__ = ("end_us", "start_us")

    def __init__(self, start_us: int) -> None:
        self.start_us = start_us
        self.end_us = NEVER_US


class _Clip:
    __slots__ = ("call", "is_told_late", "least_until_us", "number", "start_us", "until_us", "wanted_us")

    def __init__(self, number: int, call: Call, wanted_us: int) -> None:
        self.number = number
        self.call = call
        self.wanted_us = wanted_us
        """From where on footage is wanted that it does not have yet."""
        self.start_us: int | None = None
        self.least_until_us = call.until_us
        self.until_us = None if call.lasts else self.least_until_us
        self.is_told_late = False
        """Its end was past already when it became known: pictures beyond it are kept."""


class ClipDesk:
    """One camera's open clips.

    `remember_us`: for how long I-VOPs are remembered, at least as far back as footage may be wanted. `next_clip` gives
    each clip its number, which no clip of any camera had before.
    """

    def __init__(self, max_clip_us: int, remember_us: int, next_clip: Callable[[], int]) -> None:
        self.close_due_us = NEVER_US
        """`on_frame` is wanted for a kept frame at or after this; a comparison per frame, no call."""
        self._max_clip_us = max_clip_us
        self._remember_us = remember_us
        self._next_clip = next_clip
        self._clips: dict[str, _Clip] = {}
        self._groups: deque[_Group] = deque(maxlen=_MOST_GROUPS)
        self._forgotten_us = -NEVER_US
        """Up to here there may be footage that is remembered no more."""

    @property
    def is_open(self) -> bool:
        """Some clip wants what comes next."""
        return bool(self._clips)

    def open_clip(self, rule: str) -> int:
        """The number of the rule's open clip; 0 where none is."""
        clip = self._clips.get(rule)
        return 0 if clip is None else clip.number

    # ---- what asks for footage

    def trigger(self, call: Call, now_us: int) -> list[Step]:
        """An alarm: opens its rule's clip, or extends it. Footage held back from before must have been kept first.

        One that is told long after it was (from the camera's log), or of a time before what is kept, such as that of an
        earlier life, is a clip of its own, over already.
        """
        group = self._first_group_beyond(call.from_us)
        nothing_comes = call.until_us + self._patience_us <= now_us
        was_before = call.until_us <= now_us and group is not None and group.start_us >= call.until_us
        if not call.lasts and (nothing_comes or was_before):
            return self._past(call, group)
        if call.rule in self._clips:
            return self.again(call, now_us)
        clip = self._file(call, call.from_us)
        if group is not None:
            clip.start_us = self._start_in(group, call)
        clip.is_told_late = clip.until_us is not None and clip.until_us <= now_us
        return [self._opened(clip)]

    def again(self, call: Call, now_us: int) -> list[Step]:
        """A trigger that is no alarm of its own (it came too soon): extends its rule's clip where one is open."""
        clip = self._clips.get(call.rule)
        if clip is None:
            return []
        clip.least_until_us = max(clip.least_until_us, call.until_us)
        return self._extended(clip, None if call.lasts or clip.until_us is None else clip.least_until_us, now_us)

    def over(self, rule: str, at_us: int, now_us: int) -> list[Step]:
        """The state that kept the rule's clip open ended at `at_us`."""
        clip = self._clips.get(rule)
        if clip is None or clip.until_us is not None:
            return []
        clip.least_until_us = max(clip.least_until_us, at_us + clip.call.post_us)
        return self._extended(clip, clip.least_until_us, now_us)

    # ---- what is kept

    def on_key_frame(self, utc_us: int) -> list[Step]:
        """An I-VOP is kept; also for those that were held back and are kept now."""
        last = self._groups[-1] if self._groups else None
        steps = self.on_frame(utc_us)
        ended_us = utc_us if last is None else min(last.end_us, utc_us)
        if last is not None and last.end_us == NEVER_US:
            last.end_us = utc_us
        self._remember(utc_us)
        for clip in list(self._clips.values()):
            if clip.start_us is None:
                clip.start_us = utc_us
                steps.append(BeginClip(clip.number, utc_us, _shortfall_us(clip)))
            elif utc_us - clip.start_us >= self._max_clip_us:
                steps += self._continue(clip, ended_us, "too-long", utc_us)
        return steps

    def on_frame(self, utc_us: int) -> list[Step]:
        """A frame at or after `close_due_us` is kept (every I-VOP is told to `on_key_frame` alone)."""
        if utc_us < self.close_due_us:
            return []
        return self._close_due(utc_us, 0, utc_us if self._is_keeping else None)

    def kept_until(self, utc_us: int) -> None:
        """Keeping ended with footage up to here: the link is lost, a disk is full, or nothing is wanted for now."""
        if self._is_keeping:
            self._groups[-1].end_us = utc_us

    def clock_stepped(self, before_us: int, after_us: int) -> list[Step]:
        """The host's clock went from `before_us` to `after_us`; what is kept next has the new time.

        Clips with footage close at the step and go on in others; footage from before it is pre-roll to none.
        """
        self._groups.clear()
        steps: list[Step] = []
        for clip in list(self._clips.values()):
            _move(clip, before_us, after_us)
            if clip.start_us is not None:
                steps += self._continue(clip, before_us, "clock-step")
        self._note_due()
        return steps

    # ---- time

    def tick(self, utc_us: int) -> list[Step]:
        """At each tick: closes clips for which no frame comes any more."""
        if not self._clips:
            return []
        return self._close_due(utc_us, self._patience_us, None)

    def cut(self, utc_us: int, reason: str) -> list[Step]:
        """Closes every clip now: nothing more is wanted of this camera."""
        steps: list[Step] = [
            CloseClip(clip.number, max(utc_us, clip.start_us or utc_us), reason) for clip in self._clips.values()
        ]
        self._clips.clear()
        self._note_due()
        return steps

    # ---- groups

    @property
    def _is_keeping(self) -> bool:
        return bool(self._groups) and self._groups[-1].end_us == NEVER_US

    @property
    def _patience_us(self) -> int:
        """For how long after its end a clip's last frame may still come."""
        return _LATE_US if self._is_keeping else 0

    def _remember(self, utc_us: int) -> None:
        self._groups.append(_Group(utc_us))
        while self._groups[0].end_us <= utc_us - self._remember_us:
            self._forgotten_us = self._groups.popleft().end_us

    def _first_group_beyond(self, utc_us: int) -> _Group | None:
        """The group that holds this moment, or else the first after it; None where all ended before."""
        return next((group for group in self._groups if group.end_us > utc_us), None)

    def _start_in(self, group: _Group, call: Call) -> int:
        """The I-VOP of this group, its first; of a time that is remembered no more just the moment."""
        return call.from_us if call.from_us < min(self._forgotten_us, group.start_us) else group.start_us

    # ---- clips

    def _past(self, call: Call, group: _Group | None) -> list[Step]:
        """A clip of what is kept already, or is not: whoever makes its file finds out."""
        clip = _Clip(self._next_clip(), call, call.from_us)
        is_remembered = group is not None and group.start_us < call.until_us
        clip.start_us = self._start_in(group, call) if group is not None and is_remembered else call.from_us
        return [self._opened(clip), CloseClip(clip.number, call.until_us, "done")]

    def _file(self, call: Call, wanted_us: int) -> _Clip:
        clip = self._clips[call.rule] = _Clip(self._next_clip(), call, wanted_us)
        self._note_due()
        return clip

    def _opened(self, clip: _Clip, continues: int | None = None) -> OpenClip:
        return OpenClip(
            clip=clip.number,
            rule=clip.call.rule,
            trigger=clip.call.trigger,
            alarm_at_us=clip.call.at_us,
            start_us=clip.start_us,
            pre_shortfall_us=_shortfall_us(clip),
            until_us=clip.until_us,
            continues=continues,
        )

    def _continue(self, clip: _Clip, end_us: int, reason: str, start_us: int | None = None) -> list[Step]:
        """Closes a clip and opens the one that goes on from it."""
        heir = self._file(clip.call, NEVER_US)
        heir.start_us, heir.until_us, heir.least_until_us = start_us, clip.until_us, clip.least_until_us
        self._note_due()
        return [
            CloseClip(clip.number, max(end_us, clip.start_us or end_us), reason),
            self._opened(heir, continues=clip.number),
        ]

    def _extended(self, clip: _Clip, until_us: int | None, now_us: int) -> list[Step]:
        if until_us == clip.until_us:
            return []
        clip.until_us = until_us
        clip.is_told_late = until_us is not None and until_us <= now_us
        self._note_due()
        return [ExtendClip(clip.number, until_us)]

    def _close_due(self, utc_us: int, late_us: int, end_us: int | None) -> list[Step]:
        """Closes the clips whose end came `late_us` ago, at `end_us` or just where they were to end."""
        steps: list[Step] = []
        for clip in list(self._clips.values()):
            if clip.until_us is None or clip.until_us + late_us > utc_us:
                continue
            has_footage = clip.start_us is not None
            ends_with_frame = has_footage and end_us is not None and not clip.is_told_late
            steps.append(
                CloseClip(
                    clip.number,
                    end_us if ends_with_frame and end_us is not None else clip.until_us,
                    "done" if has_footage else "no-footage",
                )
            )
            del self._clips[clip.call.rule]
        self._note_due()
        return steps

    def _note_due(self) -> None:
        ends = [clip.until_us for clip in self._clips.values() if clip.until_us is not None]
        self.close_due_us = min(ends, default=NEVER_US)


def _shortfall_us(clip: _Clip) -> int:
    """Of the seconds before the alarm those that are missing; an heir goes on and misses none."""
    if clip.wanted_us == NEVER_US:
        return 0
    if clip.start_us is None:
        return clip.call.pre_us
    return min(max(0, clip.start_us - clip.wanted_us), clip.call.pre_us)


def _move(clip: _Clip, before_us: int, after_us: int) -> None:
    """The clip's end stays as far ahead as it was, and what it still wants from before as far back."""
    left_us = clip.least_until_us - before_us
    if not 0 <= left_us <= clip.call.post_us:
        left_us = clip.call.post_us  # told by the new clock already, or kept by its state for long
    if clip.wanted_us != NEVER_US:
        waited_us = before_us - clip.wanted_us
        clip.wanted_us = after_us - min(max(0, waited_us), clip.call.pre_us)
    clip.least_until_us = after_us + left_us
    if clip.until_us is not None:
        clip.until_us = clip.least_until_us
