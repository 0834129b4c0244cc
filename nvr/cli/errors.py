"""How a command ends other than well; main turns each into its sentence and exit code."""


class WrongUseError(Exception):
    """What was asked makes no sense: exit code 2. `str()` is one sentence that says what to type instead."""


class NotWellError(Exception):
    """The thing asked about is not well or not there: exit code 1. `str()` is one sentence."""
