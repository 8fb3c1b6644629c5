"""The report of a campaign: one HTML page, read off its history."""

from hullscout.figures.report.facts import Reported
from hullscout.figures.report.page import REPORT, read_report, settle_report, write_report

__all__ = ["REPORT", "Reported", "read_report", "settle_report", "write_report"]
