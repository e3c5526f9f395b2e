r"""Raw files in, collection out, as a Ray job.

    ray job submit --runtime-env jobs/runtime_env.yaml -- \
        python jobs/ingest.py /data/my_dataset.yaml /data/my_dataset --out /data/collection.zarr

Takes the arguments of `samscope ingest`. Duration: about 40 slices of 512 x 512 a second.
Expected output: a line per refused case, then the counts; exit code 1 when a case was refused.
"""

from __future__ import annotations

import sys

from engine.cli import main

if __name__ == "__main__":
    main(["ingest", *sys.argv[1:]])
