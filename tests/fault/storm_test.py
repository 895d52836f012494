"""A short storm of random faults (tests/fault/storm) over each kind of store; its seed is printed and repeats it."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 20


@pytest.mark.parametrize("store", ["sqlite", "etcd"])
def test_a_storm_breaks_no_promise(tmp_path, store):
    done = subprocess.run([sys.executable, "-m", "storm", str(SECONDS), "--store", store, "--json", tmp_path / "figures.json",
                           "--folder", tmp_path / "storm"], cwd=Path(__file__).parent, capture_output=True, text=True,
                          env={**os.environ, "LD_PRELOAD": os.environ.get("HSM_SANITIZER_RUNTIME", "")}, timeout=300)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["n_faults"] > 10 and figures["done"]["use"] > 100 and figures["done"]["create"] > 10
