"""The queue: procrastinate carries the wake-up from the commit that accepts a job to a worker."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from procrastinate import App, PsycopgConnector
from procrastinate.connector import Notify
from procrastinate.exceptions import ProcrastinateException

from .database import network
from .work.again import keep_running

QUEUE = "imports"
_WAKE = "pgsluice.run"


class _Connector(PsycopgConnector):
    """Listens again after each loss of its connection, which procrastinate would not notice.

    Its worker watches its side tasks only until the first of them has ended, which without
    periodic tasks is at once.
    """

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        names = list(channels)
        listening = super().listen_notify

        async def work() -> None:
            with _clear_errors():
                await listening(on_notification, names)

        await keep_running(work, "hear the queue", is_over=lambda: False)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Tell what procrastinate wrapped; its own words are only "Database error"."""
    try:
        yield
    except ProcrastinateException as exc:
        reason: BaseException = exc
        while reason.__cause__ is not None:
            reason = reason.__cause__
        raise ConnectionError(f"the queue: {reason}") from exc


def queue_app(dsn: str, wake: Callable[[], None]) -> App:
    """The queue over its own schema and its own connections; its one task calls `wake`."""
    connector = _Connector(
        conninfo=dsn,
        min_size=1,
        max_size=3,
        kwargs={
            "options": "-c search_path=procrastinate",
            "application_name": "pgsluice queue",
            **network(dsn),
        },
    )
    app = App(connector=connector)

    @app.task(name=_WAKE, queue=QUEUE)
    async def run() -> None:
        # The sessions of the worker go on by themselves until nothing is left; waiting for that
        # end here would hold back the wake-up of the next job behind it.
        wake()

    return app


async def listen(dsn: str, wake: Callable[[], None]) -> None:
    """Turn queued wake-ups into `wake()` until cancelled; survives restarts of Postgres."""

    async def work() -> None:
        app = queue_app(dsn, wake)
        with _clear_errors():
            async with app.open_async():
                await app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=4,
                    name="pgsluice",
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=2,
                    delete_jobs="successful",
                    listen_notify=True,
                )

    await keep_running(work, "listen to the queue", is_over=lambda: False)
