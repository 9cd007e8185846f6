"""The keeper as a program: `python -I -S keeper_program.py DESCRIPTOR`, its plan at that descriptor.

The modules of the lab that it needs are imported without the packages around them, which would import the
whole library: a keeper is there in milliseconds.
"""

from __future__ import annotations

import sys

here = __file__.rpartition("/")[0]
for name, path in (
    ("mungos", here.rpartition("/")[0].rpartition("/")[0]),
    ("mungos.lab", here.rpartition("/")[0]),
    ("mungos.lab.watch", here),
):
    package = type(sys)(name)
    package.__path__ = [path]
    sys.modules[name] = package

from mungos.lab.watch.keeper import main  # noqa: E402 - found by what stands above

main(int(sys.argv[1]))
