"""A study's report: one HTML file that works offline, drawn from the store alone."""

from neurona.report.page import policy
from neurona.report.writing import write_report

__all__ = ["policy", "write_report"]
