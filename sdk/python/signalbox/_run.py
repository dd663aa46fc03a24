"""One run of a plugin, and how it ended: the same in a component and in a test.

The rule: `Retry` and `Reject` are meant; any other exception is an error of the plugin's, whose
traceback goes to the log and which is tried again, for a mended plugin or a healed world.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from ._failure import Failure, Reject, Retry
from ._host import Calls, enter

_HERE = os.path.dirname(__file__) + os.sep


def run(calls: Calls, function: Callable[[], None]) -> Failure | None:
    """Run it with this host. What ended it, `None` when nothing did."""
    before = enter(calls)
    try:
        function()
        return None
    except Reject as failure:
        if failure.__cause__ is not None:
            calls.log("debug", _trace(failure), [])
        return failure
    except Retry as failure:
        return failure
    except BaseException as error:  # noqa: BLE001 -- `sys.exit()` in a receiver is an error too
        if isinstance(error, ModuleNotFoundError):
            error.add_note(
                "A component holds the modules that were loaded when it was built: import this one "
                "at the top of a file."
            )
        reason = "".join(traceback.format_exception_only(error)).splitlines()[0]
        calls.log("error", _trace(error), [("exception", type(error).__name__)])
        uncaught = Retry(reason)
        uncaught.__cause__ = error
        return uncaught
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        enter(before)


def _trace(error: BaseException) -> str:
    """The traceback from the plugin's own frames on, as far as there are any."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_HERE):
        tb = tb.tb_next
    tb = tb or error.__traceback__
    return "".join(traceback.format_exception(type(error), error, tb)).rstrip()
