"""Debian packages: built, installed with dpkg on a copy of this system that is thrown away, run, and removed again."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from fixture.cluster import SANITIZED

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "samples/systemd/hsmd.service"

# In namespaces of its own, on an overlay over the root: nothing of it is there afterwards.
INSTALL = """
set -e
mount -t tmpfs tmpfs "$1"; mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"; mount --rbind /dev "$1/root/dev"; mount -t tmpfs tmpfs "$1/root/run"
ip link set lo up
mkdir "$1/root/packages"; cp "$2"/*.deb "$2/use.sh" "$1/root/packages"
exec chroot "$1/root" bash -m /packages/use.sh
"""

# As an operator would, with the service's user and command.
USE = """
set -ex
dpkg -i /packages/*.deb
man -w hsm; test -f /lib/systemd/system/hsmd.service; getent passwd hsmd
hsmd --config /etc/hsmd/hsmd.yaml --check-config
install -d -o hsmd -g hsmd -m 700 /var/lib/hsmd
runuser -u hsmd -- /usr/sbin/hsmd --config /etc/hsmd/hsmd.yaml --set listen=tls+tcp://127.0.0.1:2223 --set log-level=error &
while [ ! -S /var/lib/hsmd/node.sock ]; do sleep 0.05; done
cd /root
node=ipc:///var/lib/hsmd/node.sock
hsm cluster create --endpoint $node --name packaged --csr node.csr
hsm cluster initialize --endpoint $node --self-signed ca
hsm ca client --directory ca --name operator --certificate operator.pem --key operator.key
echo '{nodes: [tls+tcp://127.0.0.1:2223], ca-file: ca/ca.pem, certificate-file: operator.pem, key-file: operator.key}' > hsm.yaml
echo 'a long password' > password
hsm --config hsm.yaml cluster activate --user admin --password-file password --recovery-file recovery
hsm --config hsm.yaml cluster describe
HSM_CONFIG=hsm.yaml p11-kit list-modules | grep "token: packaged"
openssl list -provider default -provider hsm -providers | grep "name: libhsm"
pkill -x hsmd; wait %1
dpkg -r hsmd hsm-tools libhsm-openssl libhsm-pkcs11 libhsm-dev libhsm
! command -v hsmd
test -f /etc/hsmd/hsmd.yaml; test -f /var/lib/hsmd/identity
"""


@pytest.mark.skipif(SANITIZED, reason="packages are of the release build")
def test_packages_install_run_and_go(tmp_path):
    subprocess.run(["cpack", "--config", Path(os.environ["HSM_BUILD"]) / "CPackConfig.cmake", "-B", tmp_path / "packages"],
                   check=True, capture_output=True)
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "packages" / "use.sh").write_text(USE)
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", INSTALL, "sh", root,
                           tmp_path / "packages"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"packaged\s", done.stdout) and "serving" in done.stdout


def test_the_service_is_as_closed_as_its_page_says(tmp_path):
    told = subprocess.run(["systemd-analyze", "security", "--offline=true", UNIT], capture_output=True, text=True).stdout
    level = re.search(r"Overall exposure level for hsmd.service: ([0-9.]+)", told)[1]
    assert float(level) <= 1.5
    page = (ROOT / "docs/operation.md").read_text()
    assert level in re.search(r"its exposure ([0-9.]+), ([0-9.]+) with Debian 13", page).groups()
