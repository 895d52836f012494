"""Hosts of our own: each node in a network namespace, on a bridge that the clients and etcd are on. Everything lives in the
namespaces that the storm was started in, and goes with them."""
import subprocess

BRIDGE = "storm0"
GATEWAY = "10.77.0.1"


def run(*command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def make_bridge():
    run("mount", "-t", "tmpfs", "tmpfs", "/run")  # where `ip netns` keeps its names
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")


class Host:
    def __init__(self, number):
        self.name = f"host{number}"
        self.link = f"storm{number}"
        self.address = f"10.77.0.{10 + number}"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "link", "set", self.link, "master", BRIDGE, "up")
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        run("ip", "-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self.name, "link", "set", "eth0", "up")

    @property
    def wrapper(self):
        """What runs a command on this host."""
        return ["ip", "netns", "exec", self.name]

    def cut_off(self):
        run("ip", "link", "set", self.link, "nomaster")

    def connect(self):
        run("ip", "link", "set", self.link, "master", BRIDGE)
