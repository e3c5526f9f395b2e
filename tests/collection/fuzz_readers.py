"""Damage small valid files of every format and see what the readers make of them.

    python tests/collection/fuzz_readers.py --minutes 10 [--seed N] [--only .nrrd] [--keep FOLDER]

Every damaged file must give an image, objects or a refusal with a known code: no other exception,
no warning, no crash, within the time and the address space of a child process. What fails is kept
in the folder that is printed, with a note of what it did.
"""

# ruff: noqa: T201  it is a command and speaks to a person
from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

from fuzz_damage import damaged  # noqa: E402
from fuzz_seeds import Seed, seeds  # noqa: E402

from engine.collection.readers import READERS  # noqa: E402

LIMIT_BYTES = 4 * 2**30
LIMIT_S = 30.0


class Child:
    """A reading process that is started again when it dies or hangs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, task: dict[str, object]) -> dict[str, str]:
        """What the readers said; `bug: ...` where there was no answer."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
        line = process.stdout.readline() if ready else ""
        if line:
            answer: dict[str, str] = json.loads(line)
            return answer
        died = process.poll() if not ready else process.wait()
        self.stop()
        what = f"no answer in {LIMIT_S:.0f} s" if not ready else f"died with {died}"
        return {"read": f"bug: {what}"}

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "fuzz_child.py"), str(LIMIT_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:3]),
                 "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        return self._process

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass
class Tally:
    """What became of the files of one ending."""

    files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    bugs: Counter[str] = field(default_factory=Counter)
    peak_mb: int = 0


@dataclass(frozen=True)
class Prepared:
    """A seed and the bytes of its files."""

    seed: Seed
    files: dict[str, bytes]
    name: str
    image_at: Path | None


def prepare(ending: str, folder: Path) -> list[Prepared]:
    """Write every seed of an ending once; images that labels need stay on disk."""
    out = []
    for number, seed in enumerate(seeds(ending)):
        where = folder / f"{_folder_name(ending)}_{number}"
        where.mkdir(parents=True)
        seed.make(where)
        files = {p.relative_to(where).as_posix(): p.read_bytes() for p in _files(where)}
        image = None if seed.image is None else where / seed.image.rstrip("/")
        out.append(Prepared(seed, files, where.name, image))
    return out


def _folder_name(ending: str) -> str:
    return ending.replace(".", "_").replace("/", "_folder")


def _files(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.is_file())


def damage(made: Prepared, others: list[Prepared], rng: random.Random) -> dict[str, bytes]:
    """The files of a seed with one of them damaged, sometimes lost."""
    files = dict(made.files)
    target = made.seed.target
    names = [n for n in files if made.seed.image is None or not n.startswith(made.seed.image)]
    main = [n for n in names if n == target]
    name = main[0] if main and rng.random() < 0.75 else rng.choice(names)
    if name != target and rng.random() < 0.05:
        del files[name]
        return files
    other = rng.choice(rng.choice(others).files.copy().popitem()[1:])
    files[name] = damaged(files[name], other, rng, name)
    return files


def run(minutes: float, seed: int, only: list[str], keep: Path) -> dict[str, Tally]:
    rng = random.Random(seed)
    tallies: dict[str, Tally] = defaultdict(Tally)
    child = Child()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        ready = {e: prepare(e, scratch / "seeds") for e in only}
        for ending in [e for e, made in ready.items() if not made]:
            print(f"no seed for {ending}: add one to fuzz_seeds.py")
        endings = [e for e, made in ready.items() if made]
        for ending in endings:  # a seed that is not damaged must be read
            for made in ready[ending]:
                answer = _answer(child, made, made.files, scratch / "one")
                if "ok" not in (answer["read"], answer.get("labels")):
                    tallies[ending].bugs[f"the seed {made.name} itself: {answer}"] += 1
        end, turn = time.monotonic() + 60 * minutes, 0
        while time.monotonic() < end and endings:
            ending = endings[turn % len(endings)]
            turn += 1
            made = rng.choice(ready[ending])
            files = damage(made, ready[ending], rng)
            answer = _answer(child, made, files, scratch / "one")
            _count(tallies[ending], answer, made, files, keep, ending)
    child.stop()
    return tallies


def _answer(child: Child, made: Prepared, files: dict[str, bytes], folder: Path) -> dict[str, str]:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    how, seed = made.seed.how, made.seed
    return child.ask({
        "path": str(folder / seed.target.rstrip("/")),
        "array": how.array, "axes": how.axes, "every": how.every,
        "image": None if made.image_at is None else str(made.image_at),
        "seed": made.name,
    })  # fmt: skip


def _count(
    tally: Tally,
    answer: dict[str, str],
    made: Prepared,
    files: dict[str, bytes],
    keep: Path,
    ending: str,
) -> None:
    tally.files += 1
    tally.peak_mb = max(tally.peak_mb, int(answer.get("peak_mb", 0)))
    for key in ("read", "labels", "companions"):
        text = answer.get(key, "")
        if text.startswith("bug"):
            short = f"{key}: {_brief(text)}"
            if short not in tally.bugs:
                digest = hashlib.sha256(b"".join(files.values())).hexdigest()[:12]
                where = keep / f"{_folder_name(ending)}_{digest}"
                for name, content in files.items():
                    (where / name).parent.mkdir(parents=True, exist_ok=True)
                    (where / name).write_bytes(content)
                (where / "WHAT.txt").write_text(f"{made.name} {made.seed.how}\n{key}: {text}\n")
            tally.bugs[short] += 1
        elif key != "companions":
            tally.outcomes[text] += 1


def _brief(text: str) -> str:
    """Type, message and the last of our own lines in a traceback: one finding, one text."""
    lines = text.removeprefix("bug: ").strip().splitlines()
    ours = [
        line.strip() for line in lines if "/engine/" in line and line.strip().startswith("File")
    ]
    where = ours[-1].rpartition("/engine/")[2] if ours else ""
    kind, _, message = lines[-1].partition(":")
    return f"{kind} {message.strip()[:60] if not ours else ''} {where}".strip()


def report(tallies: dict[str, Tally], keep: Path) -> int:
    bugs = 0
    print(f"{'ending':<11}{'files':>8}{'accepted':>10}{'refused':>9}  codes")
    for ending, tally in sorted(tallies.items()):
        codes = {k.removeprefix("refused "): n for k, n in tally.outcomes.items() if k != "ok"}
        words = ", ".join(f"{k} {n}" for k, n in sorted(codes.items(), key=lambda kn: -kn[1]))
        print(
            f"{ending:<11}{tally.files:>8}{tally.outcomes['ok']:>10}{sum(codes.values()):>9}  "
            f"{words}  [peak {tally.peak_mb} MB]"
        )
        for text, number in tally.bugs.most_common():
            bugs += number
            print(f"    {number} x {text}")
    print(f"{sum(t.files for t in tallies.values())} files, {bugs} findings, kept in {keep}")
    return bugs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", metavar="ENDING")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    keep = options.keep or Path(tempfile.mkdtemp(prefix="fuzz_"))
    every = [*READERS, *(e for e in ("dicom/", "stack/") if e not in READERS)]
    tallies = run(options.minutes, options.seed, options.only or every, keep)
    return 1 if report(tallies, keep) else 0


if __name__ == "__main__":
    sys.exit(main())
