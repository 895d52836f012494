"""What the parts share: percentiles, tables, sessions."""
import hsm


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def table(head, rows):
    """Markdown; the first column to the left, numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def session_of(cluster, nodes=None, **settings):
    """Of a client of its own; `nodes`: that knows these alone."""
    path = cluster.config
    if nodes:
        path = cluster.write_client_config(cluster.folder / f"{'-'.join(node.name for node in nodes)}.yaml",
                                           nodes=[node.urls[0] for node in nodes], **{"refresh-interval-ms": 0}, **settings)
    session = hsm.Cluster(hsm.Config(path)).session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def create(session, label):
    return session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {"LABEL": label, "TOKEN": True, "VALUE_LEN": 32})


def on_each_store(build, folder, n_nodes, measure, **options):
    """{name of the store: what `measure(cluster, etcd)` says}; etcd is None on SQLite."""
    from fixture.cluster import Cluster
    from fixture.etcd import Etcd
    results = {}
    with Cluster(n_nodes, folder=folder / "sqlite", build=build, **options) as cluster:
        results["SQLite"] = measure(cluster, None)
    with Etcd(folder / "etcd") as etcd, Cluster(n_nodes, folder=folder / "on-etcd", build=build, settings=etcd.settings,
                                                **options) as cluster:
        results["etcd, three members"] = measure(cluster, etcd)
    return results
