"""`neurona data`: list, describe and check data sets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from neurona.cli.options import Json
from neurona.cli.output import print_json, result
from neurona.i18n import _

__all__ = ["info", "list_", "verify"]

DatasetArgument = Annotated[str, typer.Argument(help=_("A name that `neurona data list` shows, or a path."))]


def list_(as_json: Json = False) -> None:
    """List the named data sets and whether they are here."""
    from rich.table import Table

    from neurona.data import catalogue

    entries = catalogue()
    if as_json:
        print_json([{**asdict(entry), "folder": str(entry.folder) if entry.folder else None} for entry in entries])
        return
    states = {
        "embedded": _("comes with Neurona"),
        "cached": _("on this machine"),
        "not downloaded": _("to be fetched"),
    }
    table = Table()
    table.add_column(_("name"), no_wrap=True)
    table.add_column(_("what it is"))
    table.add_column(_("classes"), justify="right")
    for title in (_("train"), _("validation"), _("test")):
        table.add_column(title, justify="right")
    table.add_column(_("state"))
    table.add_column(_("licence"))
    for entry in entries:
        sizes = (f"{entry.train:,}", f"{entry.validation:,}", f"{entry.test:,}")
        state = states[entry.state]
        if entry.state == "not downloaded":
            state += f" ({entry.download / 1e6:.0f} MB)"
        table.add_row(entry.name, _(entry.title), str(entry.classes), *sizes, state, _(entry.licence))
    result().print(table)


def info(dataset: DatasetArgument, as_json: Json = False) -> None:
    """Describe a data set, fetching it if need be."""
    from neurona.data import load

    data = load(dataset)
    height, width = data.image_shape
    document: dict[str, Any] = {
        "name": data.name,
        "train": len(data.train),
        "validation": len(data.validation),
        "test": data.test_size,
        "image_shape": [height, width],
        "classes": list(data.class_names),
        "images_per_class": {
            "train": _per_class(data.train.labels, len(data.class_names)),
            "validation": _per_class(data.validation.labels, len(data.class_names)),
        },
        "fingerprint": data.fingerprint,
    }
    if as_json:
        print_json(document)
        return
    from rich.table import Table

    table = Table(title=data.name, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row(_("train"), f"{len(data.train):,}")
    table.add_row(_("validation"), f"{len(data.validation):,}")
    table.add_row(_("test (sealed)"), f"{data.test_size:,}")
    table.add_row(_("image, pixels"), f"{height} × {width}")
    table.add_row(_("classes"), f"{len(data.class_names)}: {', '.join(data.class_names)}")
    counts = ", ".join(f"{count:,}" for count in document["images_per_class"]["train"])
    table.add_row(_("training images a class"), counts)
    table.add_row(_("fingerprint"), data.fingerprint)
    result().print(table, markup=False)


def verify(dataset: DatasetArgument, as_json: Json = False) -> None:
    """Check a data set that is here; nothing is fetched."""
    from neurona.data import verify as check

    found = check(dataset)
    if as_json:
        print_json(asdict(found))
        return
    for name, digest in found.hashes:
        result().print(f"✓ {name}  {digest}", markup=False)
    sentence = _(
        "✓ {name}: {train:,} + {validation:,} + {test:,} images in {classes} classes, fingerprint {fingerprint}"
    )
    result().print(sentence.format(**asdict(found)), markup=False)


def _per_class(labels: Any, classes: int) -> list[int]:
    import numpy as np

    return [int(count) for count in np.bincount(labels, minlength=classes)]
