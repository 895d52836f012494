"""The disaster drill of docs/operation.md, run word for word, with folders of its own in place of the system's."""
import json
import os
import re
import subprocess
from pathlib import Path

import hsm
from fixture.cluster import Cluster, program_environment

ROOT = Path(__file__).resolve().parents[2]


def commands():
    page = (ROOT / "docs/operation.md").read_text()
    return re.search(r"drill_test.py runs the block below. -->\n\n```sh\n(.*?)```", page, re.S)[1]


def test_the_drill(tmp_path):
    backups, drill = tmp_path / "backups", tmp_path / "drill"
    backups.mkdir()
    (drill / "etc").mkdir(parents=True)
    with Cluster(1, folder=tmp_path / "lost", settings={"backup-to": f"directory:{backups}", "backup-interval-s": 0}) as lost:
        session = hsm.Cluster(hsm.Config(lost.config)).session()
        session.login(lost.USER, lost.password(lost.USER))
        session.key_generate_aes("the only copy")
        lost.run("backup", "create", user=lost.ADMIN)
        (drill / "shares").write_text(lost.recovery.read_text())
        (drill / "admin.password").write_text(lost.password(lost.ADMIN))
        (drill / "app.password").write_text(lost.password(lost.USER))
    from fixture.etcd import free_ports
    url = f"tls+tcp://127.0.0.1:{free_ports(1)[0]}"
    (drill / "etc/hsmd.yaml").write_text(json.dumps({"state-folder": str(drill / "state"), "listen": [url], "metrics": "off",
                                                     "hardening": not os.environ.get("HSM_SANITIZER_RUNTIME")}))
    (drill / "hsm.yaml").write_text(json.dumps({"nodes": [url], "ca-file": "ca/ca.pem", "certificate-file": "operator.pem",
                                                "key-file": "operator.key"}))
    script = commands()
    for word, own in (("/etc/hsmd/", f"{drill}/etc/"), ("/var/lib/hsmd/", f"{drill}/state/"), ("/var/backups/hsm", str(backups)),
                      ("--user app", f"--user {Cluster.USER}")):
        assert word in script
        script = script.replace(word, own)
    # The first command runs on: the others need its socket, which a person waits for by typing.
    first, rest = script.split("\n", 1)
    script = f"set -ex\n{first}\nwhile [ ! -S {drill}/state/node.sock ]; do sleep 0.05; done\n{rest}kill %1; wait %1\n"
    build = Path(os.environ["HSM_BUILD"])
    done = subprocess.run(["bash", "-mc", script], cwd=drill, capture_output=True, text=True, timeout=120,
                          env={**program_environment(), "PATH": f"{build / 'node'}:{build / 'cli'}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the only copy" in done.stdout and "none missing or changed" in done.stdout
