"""The section on a search: how it went, what it says of its settings, and how its best did with fresh seeds."""

from __future__ import annotations

from neurona import figures
from neurona.figures import Table
from neurona.figures.trials import called
from neurona.report.document import Block, Grid, Section, Text
from neurona.search import Searched, SearchResult

__all__ = ["searched"]

_SLICES = 4  # of the settings that did most


def searched(result: SearchResult, number: int = 1) -> Section:
    """Return the section on what came of a search, the study's `number`-th; of a race, on each of its searches."""
    blocks: list[Block] = [Text(" ".join(result.summary()))]
    if result.finals is not None:
        blocks.append(Table(result.titles(), tuple(result.cells())))
        blocks.append(Text(" ".join(result.notes())))
    for one in result.searched:
        if not one.trials:
            continue
        blocks.append(figures.search_history(one))
        blocks += _settings(one, result)
    anchor = "search" if number == 1 else f"search-{number}"
    names = [one.name for one in result.searched]
    title = called(names[0] if len(names) == 1 else "search")
    return Section(anchor, title[0].upper() + title[1:], tuple(blocks))


def _settings(one: Searched, result: SearchResult) -> list[Block]:
    explanation = result.explanations[one.name]
    blocks: list[Block] = [Text(sentence) for sentence in explanation.sentences()]
    keys = tuple(explanation.importances)
    if keys:
        blocks.append(figures.search_importances(one))
        blocks.append(Grid(tuple(figures.search_slice(one, key) for key in keys[:_SLICES])))
    if len(keys) > 1:
        blocks.append(figures.search_contour(one, keys[0], keys[1]))
        blocks.append(figures.search_parallel(one))
    if len(one.objective.directions) > 1 and one.best is not None:
        blocks.append(figures.search_front(one))
    return blocks
