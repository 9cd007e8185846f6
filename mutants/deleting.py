"""Import a module without one of its branches. Nothing on disk is changed."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import CodeType, ModuleType

from mutants.branches import without

__all__ = ["install"]


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, index: int) -> None:
        super().__init__(name, path)
        self._index = index

    def get_code(self, fullname: str) -> CodeType:
        # Neither read from nor written to a cache of byte code.
        path = self.get_filename(fullname)
        source = self.get_source(fullname) or ""
        return compile(without(source, self._index, path), path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, module: str, index: int) -> None:
        self._module = module
        self._index = index

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, self._index)
        return spec


def install(module: str, index: int) -> None:
    """From now on `module` is imported without its branch `index`.

    Raises RuntimeError when it was imported already: then nothing would be deleted.
    """
    if module in sys.modules:
        raise RuntimeError(f"{module} is imported already")
    sys.meta_path.insert(0, _Finder(module, index))
