"""Where the cluster is and how to reach it: hsm/config.h."""
from __future__ import annotations

import ctypes
import os
from typing import Iterator, Optional, Union

from ._handle import Handle, opened
from ._library import as_text, check, lib, read_text, take


class Config(Handle):
    """Settings: from the file, then the environment, then what is set here. Not for several threads at once.

    `path` None: the file that HSM_CONFIG names, else the usual places. `Config.defaults()` reads neither file nor
    environment. config["timeout-ms"] = 500 sets, config["timeout-ms"] reads (always text).
    """

    def __init__(self, path: Union[str, os.PathLike, None] = None, **settings: object) -> None:
        encoded = None if path is None else as_text(os.fspath(path))
        super().__init__(opened(lib.hsm_config_load, lib.hsm_config_free, encoded))
        self._set_all(settings)

    @classmethod
    def defaults(cls, **settings: object) -> Config:
        """Defaults and `settings` alone; dashes in names are written as underscores: timeout_ms=500."""
        self = cls.__new__(cls)
        Handle.__init__(self, opened(lib.hsm_config_new, lib.hsm_config_free))
        self._set_all(settings)
        return self

    def _set_all(self, settings: dict[str, object]) -> None:
        for name, value in settings.items():
            self.set(name.replace("_", "-"), value)

    def set(self, name: str, value: object) -> None:
        """Changes one setting. Lists and truth values become text as the file has it."""
        check(lib.hsm_config_set(self._handle, as_text(name), as_text(_setting_text(value))))

    def get(self, name: str) -> str:
        """One setting as text. Secrets are not given out: NotPermitted."""
        return take(lib.hsm_config_get, self._handle, as_text(name)).decode()

    __setitem__ = set
    __getitem__ = get


def _setting_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def settings() -> Iterator[tuple[str, str]]:
    """Every setting there is: its name and one line about it."""
    name, doc, index = ctypes.c_char_p(), ctypes.c_char_p(), 0
    while lib.hsm_config_describe(index, ctypes.byref(name), ctypes.byref(doc)):
        yield read_text(name.value), read_text(doc.value)
        index += 1


def handle_of(config: Optional[Config]) -> Optional[ctypes.c_void_p]:
    """For a parameter that may be NULL."""
    return None if config is None else config._handle
