"""The recovery key in a TPM (a software one), by systemd's command, as the page on backups says: from the sealed file alone a
new cluster is made of a backup, and without the TPM nothing is."""
import os
import subprocess
import time

import pytest

from backup_test import backup, destination, new_cluster, open_session, restore, settings_for  # noqa: F401
from fixture.cluster import Cluster


class Tpm:
    def __init__(self, folder):
        folder.mkdir()
        self.socket, control = folder / "socket", folder / "socket.ctrl"
        self.process = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--server", f"type=unixio,path={self.socket}",
                                         "--ctrl", f"type=unixio,path={control}", "--flags", "not-need-init"], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not (self.socket.exists() and control.exists()):
            assert time.monotonic() < deadline and self.process.poll() is None, "swtpm does not listen"
            time.sleep(0.01)

    def run(self, *words, check=True):
        done = subprocess.run(["systemd-creds", words[0], f"--tpm2-device=swtpm:path={self.socket}", "--name=recovery", *map(str, words[1:])],
                              capture_output=True)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def tpms(tmp_path):
    made = [Tpm(tmp_path / f"tpm{n}") for n in range(2)]
    yield made
    for tpm in made:
        tpm.stop()


def test_a_cluster_comes_back_with_a_recovery_key_that_a_tpm_holds(tmp_path, destination, tpms):
    tpm, other = tpms
    sealed = tmp_path / "recovery.cred"
    with Cluster(1, folder=tmp_path / "source", settings=settings_for(destination)) as source:
        open_session(source).key_generate_aes("kept")
        tpm.run("encrypt", "--with-key=tpm2", source.recovery, sealed)
        assert source.recovery.read_bytes() not in sealed.read_bytes()
        source.recovery.unlink()
        backup(source)

        assert other.run("decrypt", sealed, "-", check=False).returncode != 0
        reader, writer = os.pipe()
        os.write(writer, tpm.run("decrypt", sealed, "-").stdout)
        os.close(writer)
        os.set_inheritable(reader, True)
        restored = new_cluster(tmp_path, destination)
        try:
            restore(restored, source, recovery=f"/proc/{os.getpid()}/fd/{reader}")
            assert open_session(restored).find_one("kept")
        finally:
            os.close(reader)
            restored.close()
