"""The report of a run, as a Ray job.

    ray job submit --runtime-env jobs/runtime_env.yaml -- python jobs/report.py /data/run

Takes the arguments of `samscope report`. Duration: a minute. Expected output: the path of
`report.html`.
"""

from __future__ import annotations

import sys

from engine.cli import main

if __name__ == "__main__":
    main(["report", *sys.argv[1:]])
