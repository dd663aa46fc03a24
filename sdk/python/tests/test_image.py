"""Which imports inside functions are found, and what is said of one that cannot be kept."""

import ast
import email
import types
import unittest

from signalbox import _image

SOURCE = """
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import never

def f():
    import colorsys, email.policy
    from .inner import name
    try:
        import maybe
    except ImportError:
        maybe = None

class C:
    import eager

    def g(self):
        return lambda: __import__("dynamic")
"""


class LaterImports(unittest.TestCase):
    def test_those_inside_functions_are_found(self) -> None:
        found = list(_image._imports_in_functions(ast.parse(SOURCE)))
        shown = [(ast.unparse(node), optional) for node, optional in found]
        wanted = ["import colorsys, email.policy", "from .inner import name", "import maybe"]
        self.assertEqual(shown, list(zip(wanted, [False, False, True], strict=True)))

    def test_names_are_those_that_would_be_loaded(self) -> None:
        module = types.ModuleType("package.part")
        module.__package__ = "package"
        cases = {
            "import a.b, c": ["a.b", "c"],
            "from .inner import name": ["package.inner"],
            "from email import policy, message_from_bytes": ["email", "email.policy"],
        }
        self.assertFalse(hasattr(email, "policy"), "it is a module that is not loaded yet")
        for text, names in cases.items():
            node = ast.parse(text).body[0]
            assert isinstance(node, ast.Import | ast.ImportFrom)
            self.assertEqual(list(_image._names(node, module)), names, text)


if __name__ == "__main__":
    unittest.main()
