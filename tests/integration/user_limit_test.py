"""As many users as a cluster can have, and one more."""
import pytest

import hsm
from fixture.cluster import Cluster

USERS_MAX = 1024


def test_1024_users_and_no_more(tmp_path):
    with Cluster(2, folder=tmp_path / "cluster", settings={"password-iterations": 1000}) as cluster:
        admin = hsm.Cluster(hsm.Config(cluster.config)).session()
        admin.login(cluster.ADMIN, cluster.password(cluster.ADMIN))
        for number in range(USERS_MAX - 2):  # an administrator and a crypto-user are there
            admin.user_create(f"user{number}", "a long password", hsm.ROLE_USER)
        with pytest.raises(hsm.QuotaExceeded, match="1024 users"):
            admin.user_create("one-more", "a long password", hsm.ROLE_AUDITOR)
        listed = {user.name for user in hsm.Cluster(hsm.Config(cluster.config)).user_list_all()}
        assert len(listed) == USERS_MAX
        last = hsm.Cluster(hsm.Config(cluster.config)).session()
        last.login(f"user{USERS_MAX - 3}", "a long password")
        assert last.key_generate_aes("a key of the last one")
        # In place of one that goes another may come.
        admin.user_delete("user7")
        admin.user_create("one-more", "a long password", hsm.ROLE_AUDITOR)
        assert len(hsm.Cluster(hsm.Config(cluster.config)).user_list_all()) == USERS_MAX
