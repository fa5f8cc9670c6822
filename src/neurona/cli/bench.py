"""`neurona bench`: how fast this machine trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from neurona.cli.options import Json
from neurona.cli.output import print_json, progress, result
from neurona.errors import UsageError
from neurona.files import write_whole
from neurona.i18n import _

__all__ = ["bench"]


def bench(
    save: Annotated[Path | None, typer.Option(help=_("Write the figures there, to compare with later."))] = None,
    compare: Annotated[Path | None, typer.Option(help=_("Figures that were saved before: show the ratios."))] = None,
    as_json: Json = False,
) -> None:
    """Measure products and reference networks, in about a minute."""
    before = None if compare is None else _read(compare)
    from neurona.speed import measure

    figures = measure(on_step=lambda name: progress().print(name, style="dim", markup=False))
    document = figures.to_json()
    if save is not None:
        write_whole((json.dumps(document, indent=2) + "\n").encode(), save)
    if as_json:
        print_json(document)
        return
    from rich.table import Table

    title = _("{cores} cores; products: {one:.0f} GFLOP/s one at a time, {together:.0f} side by side")
    table = Table(
        title=title.format(cores=figures.cores, one=figures.product_gflops, together=figures.product_gflops_together),
        title_justify="left",
    )
    table.add_column(_("network"))
    table.add_column(_("precision"))
    for heading in (_("s/epoch"), _("GFLOP/s"), _("share of peak"), _("epochs/s, all cores")):
        table.add_column(heading, justify="right")
    if before is not None:
        table.add_column(_("before / now"), justify="right")
    for row in figures.rows:
        cells = [
            row.name,
            row.precision,
            f"{row.epoch_seconds:.3f}",
            f"{row.gflops:.0f}",
            f"{100 * row.gflops / figures.product_gflops:.0f} %",
            f"{row.epochs_per_second:.1f}",
        ]
        if before is not None:
            old = before.get((row.name, row.precision))
            cells.append("" if old is None else f"{old / row.epoch_seconds:.2f}")
        table.add_row(*cells)
    result().print(table)


def _read(path: Path) -> dict[tuple[str, str], float]:
    """Return seconds an epoch by network and precision, from a file that `--save` wrote."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {(row["name"], row["precision"]): float(row["epoch_seconds"]) for row in rows}
    except OSError as error:
        raise UsageError(_("{file} cannot be read: {error}.").format(file=path, error=error.strerror)) from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(_("{file} is not a file that `neurona bench --save` wrote.").format(file=path)) from None
