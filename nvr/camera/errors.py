"""How an attempt at a camera ends, and when to try again.

The message is one sentence about what the camera did. `reason` is the word under which the time without footage is
booked; one of the first four gap reasons.
"""

from enum import Enum
from typing import ClassVar


class Retry(Enum):
    """When the next attempt has a chance."""

    SOON = "soon"
    """The camera or the network may be back at any moment: the usual back-off."""
    LATER = "later"
    """The camera said no, and will until somebody changes something: the longest wait."""


class LinkError(Exception):
    """This attempt is over; the kinds below say how."""

    reason: ClassVar[str] = "stream-broken"
    retry: ClassVar[Retry] = Retry.SOON


class CannotConnect(LinkError):
    """No connection came about: no such host, no route, nobody listens, no answer in time."""

    reason = "camera-unreachable"


class LoginRefused(LinkError):
    """The camera wants another user or password, or does not let this address in."""

    reason = "camera-refused"
    retry = Retry.LATER


class CameraBusy(LinkError):
    """It is there and gives nothing now: too many clients, an address it does not serve, or an answer without video."""

    reason = "camera-refused"


class NotACamera(LinkError):
    """Something answers at this address that does not speak as a camera of this family: another device, or one that
    is still starting.
    """

    reason = "camera-refused"


class LinkStalled(LinkError):
    """The connection stands, and nothing of use comes over it."""

    reason = "camera-stalled"


class LinkLost(LinkError):
    """The connection ended, or what came over it cannot be followed any more."""

    reason = "stream-broken"
