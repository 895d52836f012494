"""Many operations in flight from one thread: hsm/async.h. Submit to a Queue, then take completions as they come."""
from __future__ import annotations

import ctypes
import dataclasses
import itertools
from typing import TYPE_CHECKING, Any, Iterator, Optional

from . import constants
from ._handle import Handle, opened
from ._library import Bytes, as_bytes, check, last_error, lib, read_text
from ._structures import Completion as CompletionStruct
from .crypto import AnyMechanism, struct_of
from .errors import error_of
from .keys import Key

if TYPE_CHECKING:
    from .cluster import Cluster
    from .session import Session


@dataclasses.dataclass(frozen=True)
class Completion:
    """One operation done. `user_data` is what was given when it was submitted."""

    user_data: Any
    status: int
    detail: str  # of a failure
    node: str  # that answered; "" when not known
    output: bytes  # signature, ciphertext, plaintext, random bytes
    nonce: Optional[bytes]  # that the node made

    def result(self) -> bytes:
        """The output, or the operation's failure as the call of the same name raises it."""
        if self.status:
            raise error_of(self.status, self.detail, self.node)
        return self.output


class Queue(Handle):
    """Every call is safe from any number of threads of this process. Iterating takes completions until none is left.

    What is submitted may wait for the next `next` or `flush`, so that it travels together with what follows. Each
    operation is done as by the Session's call of the same name, for data of up to MESSAGE_MAX bytes.
    """

    def __init__(self, cluster: Cluster) -> None:
        handle = cluster._handle
        # Sessions stay open until their completions were taken, or the queue is freed.
        self._sessions: dict[int, Any] = {}
        self._user_data: dict[int, Any] = {}
        self._numbers = itertools.count(1)
        super().__init__(opened(lib.hsm_queue_open, lib.hsm_queue_close, handle, keep=(handle, self._sessions)))

    def fileno(self) -> int:
        """Polls readable when next(0) has something to do: call it until it returns None. For select and asyncio."""
        return lib.hsm_queue_fd(self._handle)

    @property
    def outstanding(self) -> int:
        """Operations submitted whose completions have not been taken."""
        return lib.hsm_queue_outstanding(self._handle)

    def flush(self) -> None:
        """Sends what is waiting without taking completions."""
        check(lib.hsm_queue_flush(self._handle))

    def next(self, timeout: Optional[float] = None) -> Optional[Completion]:
        """The next completion; None when there is none within `timeout` seconds (None: no limit, 0: no waiting).

        OperationNotActive when nothing is outstanding.
        """
        struct = CompletionStruct(size=ctypes.sizeof(CompletionStruct))
        status = lib.hsm_queue_next(self._handle, -1 if timeout is None else max(0, round(timeout * 1000)),
                                    ctypes.byref(struct))
        if status == constants.PENDING:
            return None
        check(status)
        try:
            return self._completion(struct)
        finally:
            lib.hsm_completion_release(ctypes.byref(struct))

    def __iter__(self) -> Iterator[Completion]:
        while self.outstanding:
            completion = self.next()
            if completion is not None:
                yield completion

    def _completion(self, struct: CompletionStruct) -> Completion:
        self._sessions.pop(struct.user_data, None)
        return Completion(self._user_data.pop(struct.user_data, None), struct.status, read_text(struct.detail),
                          read_text(struct.node), _copy(struct.output, struct.output_len),
                          _copy(struct.nonce, struct.nonce_len) if struct.nonce else None)

    def _submit(self, function: Any, session: Optional[Session], *arguments: Any, user_data: Any) -> None:
        queue, number = self._handle, next(self._numbers)
        handles = (queue,) if session is None else (queue, session._handle)
        self._sessions[number] = handles[1:]
        self._user_data[number] = user_data
        status = function(*handles, *arguments, number)
        if status:
            del self._sessions[number], self._user_data[number]
            raise last_error(status)

    def submit_ping(self, user_data: Any = None) -> None:
        self._submit(lib.hsm_submit_ping, None, user_data=user_data)

    def submit_random(self, session: Session, length: int, user_data: Any = None) -> None:
        self._submit(lib.hsm_submit_random, session, length, user_data=user_data)

    def submit_sign(self, session: Session, key: Key, mechanism: AnyMechanism, data: Bytes,
                    user_data: Any = None) -> None:
        self._submit_key(lib.hsm_submit_sign, session, key, mechanism, data, user_data=user_data)

    def submit_sign_digest(self, session: Session, key: Key, mechanism: AnyMechanism, digest: Bytes,
                           user_data: Any = None) -> None:
        self._submit_key(lib.hsm_submit_sign_digest, session, key, mechanism, digest, user_data=user_data)

    def submit_verify(self, session: Session, key: Key, mechanism: AnyMechanism, data: Bytes, signature: Bytes,
                      user_data: Any = None) -> None:
        self._submit_key(lib.hsm_submit_verify, session, key, mechanism, data, signature, user_data=user_data)

    def submit_verify_digest(self, session: Session, key: Key, mechanism: AnyMechanism, digest: Bytes,
                             signature: Bytes, user_data: Any = None) -> None:
        self._submit_key(lib.hsm_submit_verify_digest, session, key, mechanism, digest, signature, user_data=user_data)

    def submit_encrypt(self, session: Session, key: Key, mechanism: AnyMechanism, data: Bytes,
                       user_data: Any = None) -> None:
        """A nonce that the node made comes with the completion."""
        self._submit_key(lib.hsm_submit_encrypt, session, key, mechanism, data, user_data=user_data)

    def submit_decrypt(self, session: Session, key: Key, mechanism: AnyMechanism, data: Bytes,
                       user_data: Any = None) -> None:
        self._submit_key(lib.hsm_submit_decrypt, session, key, mechanism, data, user_data=user_data)

    def _submit_key(self, function: Any, session: Session, key: Key, mechanism: AnyMechanism, *parts: Bytes,
                    user_data: Any) -> None:
        sized = itertools.chain.from_iterable((part, len(part)) for part in map(as_bytes, parts))
        self._submit(function, session, key, struct_of(mechanism), *sized, user_data=user_data)


def _copy(data: Optional[int], length: int) -> bytes:
    return ctypes.string_at(data, length) if data and length else b""
