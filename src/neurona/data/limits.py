"""How large a data set may be. What exceeds a limit is refused before it is unpacked or decoded."""

from __future__ import annotations

from pathlib import Path

from neurona.errors import DataError
from neurona.i18n import _

__all__ = ["BYTES", "CLASSES", "INFLATION", "SIDE", "check_bytes", "check_inflation"]

BYTES = 4 * 2**30
"""Bytes that the arrays of one data set may take when unpacked: 83 times MNIST."""

SIDE = 256
"""Pixels along either side of an image. A dense first layer on more than this is no longer a small network."""

CLASSES = 1_000

INFLATION = 200
"""Unpacked bytes for each packed one, in members over `INFLATION_FLOOR`: MNIST has 5, deflate cannot exceed 1,032."""

INFLATION_FLOOR = 64 * 2**20


def check_bytes(declared: int, where: Path | str) -> None:
    """Raise `DataError` if arrays of `declared` bytes exceed `BYTES`."""
    if declared > BYTES:
        raise DataError(
            _(
                "{where}: a data set may take at most {limit} bytes when unpacked, but this one declares {declared}. "
                "Make the images smaller, or give fewer of them."
            ).format(where=where, limit=f"{BYTES:,}", declared=f"{declared:,}")
        )


def check_inflation(packed: int, declared: int, where: Path | str) -> None:
    """Raise `DataError` if `packed` bytes claim to unpack to more than images plausibly do."""
    if declared > INFLATION_FLOOR and declared > INFLATION * max(packed, 1):
        raise DataError(
            _(
                "{where}: a packed file may grow at most {limit} times, but {packed} bytes claim to unpack to "
                "{declared}. "
                "If it is no mistake, save it uncompressed."
            ).format(where=where, limit=INFLATION, packed=f"{packed:,}", declared=f"{declared:,}")
        )
