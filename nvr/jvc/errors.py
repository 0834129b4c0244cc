"""Trouble of this room: they broke the rules, or they said no. Our own misuse is a ValueError."""


class ProtocolError(Exception):
    """The other side does not speak as the guide says; the message names in one sentence what it did."""


class ApiRefused(Exception):
    """The camera understood a parameter call and said no."""

    def __init__(self, name: str, code: int, text: str = "") -> None:
        super().__init__(f"the camera refused {name}: {code} {text}".rstrip())
        self.name = name
        self.code = code
        """The three digits of the answer, 401 for a refused login (guide 5)."""
        self.text = text


class RecordingFull(ApiRefused):
    """A move, or the end of an auto trace recording, after its limit of time or memory (guide 6.6, answer 206)."""

    def __str__(self) -> str:
        why = {"timeout": " after its 30 seconds", "memoryfull": ", which holds no more moves"}
        limit = next((words for word, words in why.items() if word in self.text), "")
        return f"the recording of moves has ended{limit} (the camera answered {self.name} with 206 {self.text})"
