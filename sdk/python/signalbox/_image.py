"""The component's image: what a build keeps in memory for all runs.

componentize-py loads the plugin's module once, at build time, and there are no files afterwards. What
a run would look for in one is looked for here. Not what a run does (`_run`, `_component`).
"""

from __future__ import annotations

import ast
import gc
import importlib
import importlib.util
import linecache
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NoReturn

_PACKAGES = "signalbox-packages.txt"
"""Lies among the packages that the project depends on; see `host/src/cli/build/python/tools.rs`."""

_SOURCE = 1 << 18
"""Bytes of source kept for tracebacks: those of the plugin, not of all that it depends on."""


def prepare() -> None:
    """Called last, when the plugin's module is loaded."""
    done: set[str] = set()
    while todo := [module for module in _own() if module.__name__ not in done]:
        for module in todo:
            done.add(module.__name__)
            _load_later_imports(module)
    # `datetime.strptime` imports it when it is called.
    importlib.import_module("_strptime")
    for stream in (sys.stdout, sys.stderr):
        # A line of output is a record of the log, so it leaves as a line.
        options = {"encoding": "utf-8", "errors": "backslashreplace", "line_buffering": True}
        stream.reconfigure(**options)  # type: ignore[union-attr]
    if "logging" in sys.modules:
        importlib.import_module("._logging", __package__).install()
    if "socket" in sys.modules:
        _refuse_network(sys.modules["socket"])
    _keep_sources()
    # A run is short, and its memory goes with it: nothing is worth collecting, and what is not
    # looked at stays shared between instances.
    gc.collect()
    gc.freeze()
    gc.disable()


def _own() -> list[ModuleType]:
    """The loaded modules of the plugin and of what it depends on.

    componentize-py has Python itself in `/python`, its own in `/world` and `/bundled`, and the
    directories it was given in `/0`, `/1` and so on.
    """
    sdk = os.path.dirname(__file__)
    modules = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if (
            file
            and file.endswith(".py")
            and file.split("/")[1].isdigit()
            and not file.startswith(f"{sdk}/")
        ):
            modules.append(module)
    return modules


def _load_later_imports(module: ModuleType) -> None:
    """Load what the functions of a module import when they run: then there is nothing to load from."""
    tree = ast.parse("".join(linecache.getlines(str(module.__file__))))
    for node, optional in _imports_in_functions(tree):
        for name in _names(node, module):
            try:
                importlib.import_module(name)
            except Exception as error:
                if optional or _is_dependency(module):
                    continue
                error.add_note(
                    f"{module.__file__}:{node.lineno} imports it inside a function. A component holds "
                    "the modules that can be loaded when it is built; put the import into a `try` if "
                    "the function can do without"
                )
                raise


def _imports_in_functions(
    node: ast.AST, inside: bool = False, optional: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            if inside:
                yield child, optional
            continue
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        attempt = isinstance(child, ast.Try | ast.TryStar)
        yield from _imports_in_functions(child, inside or function, optional or attempt)


def _names(node: ast.Import | ast.ImportFrom, module: ModuleType) -> Iterator[str]:
    """The modules that a statement loads."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    name = "." * node.level + (node.module or "")
    name = importlib.util.resolve_name(name, module.__package__)
    yield name
    for alias in node.names:
        # `from package import part`: a part may be a module of its own.
        inner = f"{name}.{alias.name}"
        parent = sys.modules.get(name)
        package = hasattr(parent, "__path__") and not hasattr(parent, alias.name)
        if package and importlib.util.find_spec(inner) is not None:
            yield inner


def _is_dependency(module: ModuleType) -> bool:
    places = [place for place in sys.path if os.path.exists(os.path.join(place, _PACKAGES))]
    return any(str(module.__file__).startswith(f"{place}/") for place in places)


def _keep_sources() -> None:
    """Let tracebacks show the plugin's lines. Without a time of change no file is looked for."""
    kept = 0
    for module in _own():
        path = str(module.__file__)
        lines = linecache.getlines(path)
        size = sum(map(len, lines))
        if kept + size > _SOURCE or _is_dependency(module):
            linecache.cache.pop(path, None)
            continue
        kept += size
        linecache.cache[path] = (size, None, lines, path)


def _refuse_network(socket: Any) -> None:
    """Say so: a component's sockets end the run without a word."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(
            "a plugin has no network: ask `signalbox.outbox` for a request, and for its answer with "
            "`reply_as`"
        )

    class Refusing(socket.socket):  # type: ignore[misc]
        __init__ = refuse

    socket.socket = socket.SocketType = Refusing
    for name in ("socketpair", "create_connection", "getaddrinfo", "gethostbyname", "fromfd"):
        setattr(socket, name, refuse)
