r"""A study over a collection, as a Ray job.

    ray job submit --runtime-env jobs/runtime_env.yaml -- \
        python jobs/evaluate.py /data/my_study.yaml \
            --collection /data/collection.zarr --out /data/run

Takes the arguments of `samscope evaluate` and resumes by itself: submit it again after a failure.
Expected output: a progress line as units end, a word every half minute while none does, then the
coverage; exit code 1 when trials failed. Paths must be absolute and reachable from every node.
"""

from __future__ import annotations

import sys

from engine.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
