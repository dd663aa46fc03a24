"""Run receivers natively: `python -m unittest` needs no WebAssembly toolchain and no host.

A `Host` keeps a plugin's state in memory and treats it as the real one does: a failed run leaves no
writes, the contract's limits hold. What it does not do: evaluate filters (it delivers as if they
were true), limit time and memory, grant (see `Host(granted=False)`), and start from a fresh
instance (a module's globals keep their values).

    host = Host()
    host.deliver(stripe("charge.refunded", {"id": "ch_1"})).expect_ok()
    assert host.get("refunds") == 1
"""

from ._effects import Effect
from ._events import event, fixture, raw, signalbox, stripe
from ._host import Host
from ._run import Record, Run
from ._state import Limits

__all__ = [
    "Effect",
    "Host",
    "Limits",
    "Record",
    "Run",
    "event",
    "fixture",
    "raw",
    "signalbox",
    "stripe",
]
