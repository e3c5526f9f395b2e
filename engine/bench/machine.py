"""Where something was measured: enough to know what to compare it with."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import engine
from engine.models.numerics import Numerics


@dataclass(frozen=True)
class Machine:
    """Kind of machine and software; no names of hosts or people.

    Attributes:
        device, dtype, kernels: as in the numerics of a run.
        cpus: this process may use.
        load: average number of running processes over the last minute, where the system says.
        commit: of samscope's checkout, `+` appended where it was changed; None outside of one.
    """

    device: str
    dtype: str
    kernels: str
    cpu: str
    cpus: int
    load: float | None
    python: str
    samscope: str
    commit: str | None
    measured: str

    @classmethod
    def here(cls, numerics: Numerics) -> Machine:
        """This machine, now."""
        return cls(
            device=numerics.device,
            dtype=numerics.dtype,
            kernels=numerics.kernels,
            cpu=_cpu(),
            cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
            load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            python=platform.python_version(),
            samscope=engine.__version__,
            commit=_commit(),
            measured=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def __str__(self) -> str:
        load = "" if self.load is None else f", load {self.load:.1f}"
        commit = "" if self.commit is None else f", commit {self.commit}"
        return (
            f"{self.device} {self.dtype}, {self.kernels}; {self.cpus} CPUs ({self.cpu}){load}; "
            f"samscope {self.samscope}{commit}"
        )


def _cpu() -> str:
    """Its name on Linux, else its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _commit() -> str | None:
    root = Path(engine.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=root, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()
