"""Fixtures of all integration tests: real nodes, started on free ports of the loopback address and stopped afterwards."""
import os
import platform
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "python"))
os.environ.pop("LD_PRELOAD", None)  # a sanitizer's runtime: this process has it, others do without
os.environ.setdefault("HSM_BUILD", str(ROOT / "build/release"))
os.environ.setdefault("HSM_LIBRARY", str(Path(os.environ["HSM_BUILD"]) / "libhsm/libhsm.so"))

from fixture.cluster import Cluster  # noqa: E402
from fixture.openssl import Provider  # noqa: E402
from fixture.pkcs11 import Token  # noqa: E402

# Programs that only older, or only newer, releases of Debian have, or have working: elsewhere their tests do not exist, and
# docs/pkcs11.md says why.
DEBIAN = int(platform.freedesktop_os_release().get("VERSION_ID", "13").partition(".")[0])
UNTIL_12 = {"pkcs11_opendnssec_test.py", "pkcs11_engine_test.py"}
SINCE_13 = {"pkcs11_provider_test.py", "pkcs11_bind_test.py"}


def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if item.path.name not in (SINCE_13 if DEBIAN <= 12 else UNTIL_12)]


@pytest.fixture(scope="session")
def cluster():
    """Three nodes that all tests share; tests that harm a node make a cluster of their own."""
    with Cluster(3) as made:
        yield made


@pytest.fixture
def own_cluster():
    """Three nodes for one test alone."""
    with Cluster(3) as made:
        yield made


@pytest.fixture
def single():
    """One node for one test alone."""
    with Cluster(1) as made:
        yield made


@pytest.fixture(scope="session")
def token_cluster():
    """One node for tests of PKCS#11 programs, which find it empty."""
    with Cluster(1) as made:
        yield made


@pytest.fixture
def token(token_cluster):
    """An empty PKCS#11 token."""
    with Token(token_cluster) as made:
        yield made


@pytest.fixture(scope="module")
def offload():
    """Two nodes with the keys of a site, as docs/tls-offload.md has them made, for the servers of one file of tests."""
    # Workers log in by the dozen here, which is made quick: the machine is shared with other tests.
    with Cluster(2, settings={"password-iterations": 1000}) as cluster, Provider(cluster) as provider:
        provider.make_site()
        yield provider
