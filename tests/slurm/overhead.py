"""Measure the overhead of the driver and the queue: many shards that take no time, on a Slurm with fake GPUs; as root.

python tests/slurm/overhead.py [JOBS]
"""

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_slurm import EDITION, GPUS, Cluster, Driver, call, site

jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
edition = EDITION | {
    "learning": {"T": 1, "L": 1},
    "studies": {"whole": {"datasets": ["faces"], "repeats": jobs // 2}},
}
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
    cluster, folder = Cluster(Path(name) / "slurm"), Path(name) / "run"
    try:
        folder.mkdir()
        (folder / "edition.yaml").write_text(yaml.safe_dump(edition))
        driver = Driver(folder, [*site(folder, gpu=1), "--until", "train"])
        call("sdiag", "--reset")
        begin = time.monotonic()
        driver.start()
        _, status, used = os.wait4(driver.process.pid, 0)
        seconds = time.monotonic() - begin
        calls = dict(re.findall(r"^\s+(REQUEST_\w+)\s.*?count:(\d+)", call("sdiag"), re.MULTILINE))
        records = [json.loads(file.read_text()) for file in (folder / "results/runs").rglob("*.json")]
        print(driver.output[-500:])
    finally:
        cluster.stop()
busy = sum(record["seconds"] for record in records)
figures = {
    "status": os.waitstatus_to_exitcode(status),
    "shards": len(records),
    "pretend_gpus": GPUS,
    "cores": os.cpu_count(),
    "load_average": os.getloadavg(),
    "seconds": round(seconds, 1),
    "seconds_per_job_and_gpu": round(seconds * GPUS / jobs, 2),
    "of_which_wframe_train": round(busy / jobs, 2),
    "driver_cpu_seconds_per_job": round((used.ru_utime + used.ru_stime) / jobs, 3),
    "driver_peak_mb": round(used.ru_maxrss / 1e3),
    "scheduler_calls": {name: int(count) for name, count in sorted(calls.items())},
}
print(json.dumps(figures, indent=1))
