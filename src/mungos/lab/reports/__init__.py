"""What people and programs read of a run: terminal, JSON, JUnit XML, an HTML page, the history.

Nothing is imported here: `mungos lab run` starts with as little as it can. Each module is one report.
"""
