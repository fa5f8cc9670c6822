"""What the pages on labs show: studies, their tables and mistakes, labs run from the page, exercises."""

from neurona.web.lab.runs import LabRuns
from neurona.web.lab.studies import Studies

__all__ = ["LabRuns", "Studies"]
