"""The section on the models finally chosen: what each is made of, how good it is, and how it is used."""

from __future__ import annotations

from neurona.figures import Table
from neurona.i18n import _
from neurona.report.document import Block, Code, Facts, Group, Section, Text
from neurona.study import ChampionRecord, Study, described

__all__ = ["chosen"]


def chosen(study: Study) -> Section | None:
    """Return the section on the study's champions that are trained to their end; None where there is none."""
    ready = [record for record in study.champions().values() if record.is_ready]
    if not ready:
        return None
    if len(ready) == 1:
        return Section("champion", _("The best model"), tuple(_blocks(ready[0])))
    groups = tuple(
        Group(f"champion-{number}", record.name, tuple(_blocks(record))) for number, record in enumerate(ready, 1)
    )
    return Section("champion", _("The best models"), groups)


def _blocks(record: ChampionRecord) -> list[Block]:
    blocks: list[Block] = [Text(" ".join(described(record)))]
    facts = [
        (_("Network"), f"{record.network}"),
        (_("Training"), f"{record.training}"),
        (_("Temperature"), f"{record.temperature:.3f}"),
        (_("Looks at an image"), str(len(record.views))),
    ]
    blocks.append(Facts(tuple(facts)))
    if len(record.members) > 1:
        head = (_("seed"), _("epochs"), _("validation accuracy, %"))
        rows = tuple(
            (str(member.seed), " + ".join(map(str, member.epochs)), f"{100 * member.val_accuracy:.2f}")
            for member in record.members
        )
        blocks.append(Table(head, rows))
    blocks.append(Code(f'neurona test {record.name} --reason "…"'))
    return blocks
