"""What can be seen of a process tree from outside, and what its programs tell of themselves."""

from mungos.lab.autopsy.examination import examine

__all__ = ["examine"]
