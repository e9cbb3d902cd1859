"""The rows of a Parquet file, so few at a time that memory stays small whatever they hold."""

from collections.abc import Iterator

import pyarrow as pa
from pyarrow import parquet as pq
from pyarrow import types

# What is read at once; what leaves at once; and no more rows than these at a time.
_READ = 4 * 1024 * 1024
_FRAME = 2 * 1024 * 1024
_MOST_ROWS = 16_384


def batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """The rows of a file in order, a few megabytes at a time."""
    seen = 1.0
    for groups, size in _runs(file):
        rows, done = _rows(max(seen, size)), 0
        while True:
            try:
                for batch in _behind(file, groups, rows, done):
                    done += len(batch)
                    seen = max(1.0, _size(batch) / len(batch))
                    yield batch
            except MemoryError:
                # Its values are larger than the file told: again from where we are.
                if rows == 1:
                    raise
                rows = max(1, rows // 16)
            else:
                break


def _runs(file: pq.ParquetFile) -> Iterator[tuple[list[int], float]]:
    """Row groups that are worth a reading, and the bytes of a row in them as the file tells."""
    groups: list[int] = []
    rows = size = 0
    for number in range(file.num_row_groups):
        about = file.metadata.row_group(number)
        groups.append(number)
        rows, size = rows + about.num_rows, size + about.total_byte_size
        if rows >= _MOST_ROWS or size >= _READ:
            yield groups, size / max(rows, 1)
            groups, rows, size = [], 0, 0
    if groups:
        yield groups, size / max(rows, 1)


def _rows(size: float) -> int:
    return max(1, min(_MOST_ROWS, int(_READ / size)))


def _behind(
    file: pq.ParquetFile, groups: list[int], rows: int, done: int
) -> Iterator[pa.RecordBatch]:
    """The rows of some groups behind the first `done`."""
    at = 0
    for batch in file.iter_batches(batch_size=rows, row_groups=groups, use_threads=False):
        skipped, at = max(0, min(done - at, len(batch))), at + len(batch)
        if skipped < len(batch):
            yield batch.slice(skipped)


def parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in parts that are worth a frame."""
    rows = max(1, int(len(batch) * _FRAME / max(_size(batch), 1)))
    for start in range(0, len(batch), rows):
        yield batch.slice(start, rows)


def _size(batch: pa.RecordBatch) -> float:
    """About how many bytes the rows have once each has its own values."""
    size = 0.0
    for array in batch.columns:
        size += array.nbytes
        if types.is_dictionary(array.type) and len(array.dictionary):
            size += array.dictionary.nbytes / len(array.dictionary) * len(array)
    return size
