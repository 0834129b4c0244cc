"""What a camera's answer to a request for pictures means for the attempt."""

from nvr.camera.errors import CameraBusy, LoginRefused, NotACamera
from nvr.camera.link import Address
from nvr.jvc.answer import StreamHead

_HTTP_PORT = 80


def host_line(address: Address) -> str:
    """The address as the Host line of a request has it."""
    host, port = address
    name = f"[{host}]" if ":" in host else host
    return name if port == _HTTP_PORT else f"{name}:{port}"


def judge(head: StreamHead, wanted: str) -> None:
    """Goes on only with an answer that announces what was asked for; raises what any other answer means.

    `wanted`: in a word, such as "video".
    """
    answer = f"{head.status} {head.reason}".strip()
    if head.status in (401, 403):
        raise LoginRefused(f"the camera refused to send {wanted}: {answer}")
    if head.status >= 500:
        raise CameraBusy(f"the camera sends no {wanted} now: {answer}")
    if head.status != 200:
        raise NotACamera(f"asked for {wanted}, {_who(head)} answered {answer}: is this a camera of this family?")
    # Any other type is taken: the guide prints image/jpeg where MPEG-4 follows (fact sheet 2.2).
    if head.media_type.startswith("text/"):
        raise NotACamera(f"asked for {wanted}, {_who(head)} sent {head.media_type}: is this a camera of this family?")


def _who(head: StreamHead) -> str:
    return repr(head.server[:64]) if head.server else "the other side"
