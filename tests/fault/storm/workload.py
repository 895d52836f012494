"""Clients that make, use, share, find and delete keys, and hold every answer against the history."""
import random
import threading

import hsm

from .history import Record, now

MESSAGE = b"the message of the storm" * 20
CMAC = hsm.Mechanism(hsm.MECHANISM_AES_CMAC)
# What a change may end with while faults last: nobody knows whether it was done, or it was not. A use may not.
EXCUSED = (hsm.Unavailable, hsm.StoreUnavailable, hsm.Busy, hsm.StoreLocked, hsm.StoreFull, hsm.IoError, hsm.Conflict)


class Client(threading.Thread):
    def __init__(self, storm, number):
        super().__init__(name=f"client{number}", daemon=True)
        self.storm = storm
        self.history = storm.history
        self.random = random.Random(f"{storm.seed}/{number}")
        self.number = number
        self.n_made = 0
        self.own = []  # of which this client alone changes anything
        self.cluster = hsm.Cluster(hsm.Config(storm.cluster.config))
        self.session = self.cluster.session()
        self.session.login(storm.cluster.USER, storm.cluster.password(storm.cluster.USER))
        self.other = self.cluster.session()
        self.other.login(storm.OTHER, storm.cluster.password(storm.OTHER))

    ACTIONS = (("create", 14), ("use", 50), ("use_in_parts", 8), ("use_shared", 8), ("share", 5), ("find", 8), ("delete", 7))

    def run(self):
        names, weights = zip(*self.ACTIONS)
        while not self.storm.stopping.is_set():
            action = self.random.choices(names, weights)[0]
            try:
                getattr(self, action)()
            except Exception as error:  # nothing that is not foreseen may happen
                self.history.violated(f"{self.name}: {action}: {type(error).__name__}: {error}")

    # Changes.

    def create(self):
        if len(self.own) >= self.storm.KEYS_PER_CLIENT:
            return
        self.n_made += 1
        record = Record(f"storm-{self.number}-{self.n_made}")
        self.history.add(record)
        try:
            record.key = self.session.key_generate_aes(record.label)
        except EXCUSED as error:
            self.history.failed("create", error)
            return
        self.history.count("create")
        self.own.append(record)
        self.check_use(record, self.session)  # at once, on whichever node

    def pick_own(self):
        return self.random.choice(self.own) if self.own else None

    def delete(self):
        record = self.pick_own()
        if not record or len(self.own) < 4:
            return
        self.own.remove(record)
        record.delete_begun = now()
        try:
            self.session.object_delete(record.key)
        except EXCUSED as error:
            self.history.failed("delete", error)
            return
        record.deleted = now()
        self.history.count("delete")
        self.check_gone(record)

    def share(self):
        record = self.pick_own()
        if not record:
            return
        record.share_changing = True
        wanted = not record.shared
        try:
            (self.session.key_share if wanted else self.session.key_unshare)(record.key, self.storm.OTHER)
        except EXCUSED as error:
            self.history.failed("share", error)
            return  # whether it is shared is not known any more
        record.shared, record.share_changing = wanted, False
        self.history.count("share")

    # Uses, which never fail.

    def check_use(self, record, session):
        begin = now()
        try:
            mac = session.sign(record.key, CMAC, MESSAGE)
        except hsm.Error as error:
            if record.delete_begun is None:
                self.history.violated(f"use of {record.label} failed after {now() - begin:.1f} s: {error}")
            return
        self.history.used(now() - begin, record.label)
        self.history.count("use")
        if record.deleted is not None and record.deleted < begin:
            self.history.violated(f"{record.label} was used after its deletion was acknowledged")
        if record.mac is None:
            record.mac = mac
        elif record.mac != mac:
            self.history.violated(f"{record.label} gave another result than before")

    def use(self):
        usable = self.history.usable()
        if usable:
            self.check_use(self.random.choice(usable), self.session)

    def use_in_parts(self):
        usable = [record for record in self.history.usable() if record.mac]
        if not usable:
            return
        record = self.random.choice(usable)
        try:
            operation = self.session.operation(hsm.OPERATION_SIGN, record.key, CMAC)
            for at in range(0, len(MESSAGE), 160):
                operation.update(MESSAGE[at:at + 160])
            mac = operation.final()
        except hsm.Error as error:
            if record.delete_begun is None:
                self.history.violated(f"use of {record.label} in parts failed: {error}")
            return
        self.history.count("use in parts")
        if mac != record.mac:
            self.history.violated(f"{record.label} gave another result in parts")

    def use_shared(self):
        record = self.pick_own()
        if not record or record.share_changing:
            return
        try:
            self.other.sign(record.key, CMAC, MESSAGE)
            used = True
        except hsm.ObjectNotFound:
            used = False
        self.history.count("use of a shared key")
        if used != record.shared:
            self.history.violated(f"{record.label} is {'not ' * (not record.shared)}shared, but was {'' if used else 'not '}usable")

    def find(self):
        """What this client made is found; what it deleted is not."""
        record = self.pick_own()
        if not record:
            return
        try:
            found = list(self.session.find({"LABEL": record.label}))
        except EXCUSED as error:  # nothing found must be confirmed by the store
            self.history.failed("find", error)
            return
        self.history.count("find")
        if found != [record.key]:
            self.history.violated(f"{record.label} was found {len(found)} times")

    def check_gone(self, record):
        try:
            self.session.sign(record.key, CMAC, MESSAGE)
        except hsm.ObjectNotFound:
            return
        except EXCUSED as error:
            self.history.failed("look for a deleted key", error)
            return
        self.history.violated(f"{record.label} was used after its deletion was acknowledged")
