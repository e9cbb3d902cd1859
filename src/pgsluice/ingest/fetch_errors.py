"""Why a file cannot be fetched: for good, or for now."""


class Unfetchable(Exception):  # noqa: N818 the name says what happened
    """The file cannot be had, and trying again would not help; its text says why."""


class TryLater(Exception):  # noqa: N818 the name says what happened
    """The file cannot be had now; `seconds` when whoever has it said how long to wait."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds
