"""The guide to a certificate authority, run as it stands: docs/certificate-authority.md with samples/certificate-authority."""
import re
import shutil
from pathlib import Path

import pytest

from fixture.openssl import Provider

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def authority(cluster):
    with Provider(cluster) as provider:
        folder = provider.etc / "ca"
        folder.mkdir()
        sample = (ROOT / "samples/certificate-authority/ca.cnf").read_text()
        (folder / "ca.cnf").write_text(sample.replace("/etc/hsm/", f"{provider.etc}/"))
        yield provider, folder


def steps(page):
    """The guide's commands, one text for each block."""
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.M | re.S)


def test_the_guide_makes_issues_and_revokes(authority):
    provider, folder = authority
    blocks = [block.replace("/etc/hsm/", f"{provider.etc}/") for block in steps("certificate-authority.md")]
    assert len(blocks) == 3
    first = re.search(r"^export .*\n", blocks[0])[0]
    said = [provider.run("sh", "-e", "-c", first + f"cd {folder}\n" + block) for block in blocks]
    assert f"{folder}/www.crt: OK" in said[1] or "www.crt: OK" in said[1]
    assert "DNS:www.example.com" in said[1]
    assert "verify OK" in said[2] and "Revoked Certificates" in said[2]
    for name in ("root", "issuing"):
        assert "BEGIN HSM KEY REFERENCE" in (folder / f"{name}.key").read_text()
    shutil.copy(folder / "issuing.crl", folder / "chain.pem")
    with (folder / "chain.pem").open("a") as chain:
        chain.write((folder / "issuing.crt").read_text() + (folder / "root.crt").read_text())
    assert "certificate revoked" in provider.openssl("verify", "-crl_check", "-CAfile", folder / "chain.pem", folder / "www.crt", status=2)
    signed = [entry for entry in provider.cluster.json("key", "list", user=provider.user) if entry["label"].endswith("-ca")]
    assert {entry["label"] for entry in signed} == {"root-ca", "issuing-ca"}
