"""Services that are told to stop, by a key or by whoever runs them, end well."""

import signal
from collections.abc import Callable

import pytest

from ..conftest import Service
from .conftest import Command

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)


@BOTH
def test_serve_ends_with_0(start_service: Callable[..., Service], number: signal.Signals) -> None:
    process = start_service().process
    process.send_signal(number)
    assert process.wait(20) == 0


@BOTH
def test_a_worker_ends_with_0(command: Command, number: signal.Signals) -> None:
    with command.start("worker", stdout=-1, stderr=-1) as process:
        assert process.stdout
        assert process.stdout.readline() == b"working\n"
        process.send_signal(number)
        said = process.communicate(timeout=20)[1].decode()
        assert process.returncode == 0
        assert "Traceback" not in said
