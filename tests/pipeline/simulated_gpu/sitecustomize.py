"""Processes with this folder on their PYTHONPATH believe that their machine has one GPU.

For machines of a simulated cluster. The fake model computes on the CPU whatever its device is
called, so all but kernels is as on a GPU: where evaluators start, their numerics, their batches.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any


class _Simulated(MetaPathFinder, Loader):
    """Loads torch as ever, then changes what it says of the machine."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        self._loader = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        assert self._loader is not None
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert self._loader is not None
        self._loader.exec_module(module)
        cuda = module.cuda
        cuda.is_available = lambda: True
        cuda.device_count = lambda: 1
        cuda.get_device_name = lambda device=None: "Simulated"
        cuda.get_device_properties = lambda device=None: SimpleNamespace(total_memory=2**34)


sys.meta_path.insert(0, _Simulated())
