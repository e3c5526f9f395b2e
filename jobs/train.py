r"""A training, as a Ray job: many GPU workers, one training folder on storage all nodes see.

    ray job submit --runtime-env jobs/runtime_env.yaml -- \
        python jobs/train.py /data/finetune.yaml \
            --collection /data/collection.zarr --out /data/tuned --workers 4 --device cuda

Takes the arguments of `samscope train` and resumes by itself: submit it again after a failure.
Expected output: a line every 25 steps with the loss, the Dice of every validation, the checkpoint's
path. Paths must be absolute and reachable from every node.
"""

from __future__ import annotations

import sys

from engine.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
