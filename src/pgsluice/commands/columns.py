"""How a progress bar looks: what is done, how fast, how long it still takes."""

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

# Below these the bar itself, then the speed, have no room beside the rest.
_NARROW = 72
_NARROWEST = 52


class _Done(ProgressColumn):
    """Bytes or rows, and of how many."""

    def render(self, task: Task) -> Text:
        if task.fields["kind"] == "rows":
            phase = task.fields["phase"]
            return Text(f"{task.fields['rows']:,} rows" + (f" {phase}" if phase else ""))
        total = f"/{decimal(int(task.total))}" if task.total else ""
        return Text(f"{decimal(int(task.completed))}{total}")


class _Rate(ProgressColumn):
    """Bytes or rows a second."""

    def render(self, task: Task) -> Text:
        if task.fields["kind"] == "rows":
            rate = task.fields["rate"]
            return Text(f"{rate:,.0f}/s" if rate else "")
        speed = task.finished_speed or task.speed
        return Text(f"{decimal(int(speed))}/s" if speed else "")


class _Left(TimeRemainingColumn):
    """The time left, or the time it took; of what has no known end the time so far."""

    def render(self, task: Task) -> Text:
        if task.finished or task.total is None:
            return TimeElapsedColumn().render(task)
        return super().render(task)


def new_progress(frames: int) -> Progress:
    """Bars on stderr that fit the terminal, drawn so often a second."""
    console = Console(stderr=True)
    name = TextColumn(
        "{task.description}",
        table_column=Column(
            no_wrap=True,
            overflow="ellipsis",
            min_width=4,
            max_width=28 if console.width >= _NARROW else 12,
        ),
    )
    cells: list[ProgressColumn] = [name]
    if console.width >= _NARROW:
        cells.append(BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=10)))
    else:
        cells.append(SpinnerColumn())
    cells.append(_Done(Column(no_wrap=True)))
    if console.width >= _NARROWEST:
        cells.append(_Rate(Column(no_wrap=True)))
    cells.append(_Left(compact=True))
    return Progress(*cells, console=console, expand=True, refresh_per_second=frames)
