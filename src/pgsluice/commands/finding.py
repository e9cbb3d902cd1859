"""What a look at one thing has found: ok, warn or fail, and what to do about it."""

from typing import Literal

import msgspec

State = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """One line of `pgsluice doctor`; `todo` is there unless all is well."""

    finding: str
    state: State
    told: str
    todo: str | None = None
