"""What clients did with each key, and what that allows them to see."""
import threading
import time


class Violation(Exception):
    """The cluster broke a promise."""


class Record:
    """One key. Times are of the monotonic clock; None: not yet."""

    def __init__(self, label):
        self.label = label
        self.key = None  # once the creation was acknowledged
        self.mac = None  # of the message, as the first use told
        self.delete_begun = None
        self.deleted = None
        self.share_changing = False
        self.shared = False
        self.lock = threading.Lock()  # of whoever changes the key


class History:
    def __init__(self):
        self.lock = threading.Lock()  # guards all below
        self.records = []
        self.violations = []
        self.counts = {}
        self.failures = {}  # of changes, which may fail: by status
        self.slowest_use = (0.0, "")
        self.use_times = []

    def add(self, record):
        with self.lock:
            self.records.append(record)

    def usable(self):
        with self.lock:
            return [record for record in self.records if record.key is not None and record.delete_begun is None]

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def failed(self, what, error):
        with self.lock:
            name = f"{what}: {type(error).__name__}"
            self.failures[name] = self.failures.get(name, 0) + 1

    def violated(self, text):
        with self.lock:
            self.violations.append(text)

    def used(self, seconds, what):
        with self.lock:
            self.use_times.append(seconds)
            if seconds > self.slowest_use[0]:
                self.slowest_use = (seconds, what)


def now():
    return time.monotonic()
