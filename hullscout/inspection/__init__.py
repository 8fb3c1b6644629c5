"""A pool looked over before it is used: what no campaign would take, and what only looks wrong.

Nothing here changes a pool; `clean` says which frames would be left.
"""

from hullscout.inspection.findings import Finding, Inspection, Severity, Suspects, clean
from hullscout.inspection.inspect import inspect_frames, most_frequent_elements

__all__ = ["Finding", "Inspection", "Severity", "Suspects", "clean", "inspect_frames", "most_frequent_elements"]
