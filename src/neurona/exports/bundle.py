"""ES modules as one script: a page that is opened from disk may not import files beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from neurona.i18n import _

__all__ = ["bundled"]

_IMPORT = re.compile(r'^import \{([^}]+)\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:class|function|const) (\w+))", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*|\bimport\(.*", re.MULTILINE)


def bundled(modules: Mapping[str, str]) -> str:
    """Return one script that does what the last of `modules`, name -> text, does; those it imports come before it.

    Each module becomes a function of its own, so that no name of one meets another's. Modules import by
    `import { a, b } from "./name.js";` and export by `export` before a class, function or constant: nothing else is
    known. Raises ValueError for anything else, and for a module that is imported before it is there.
    """
    done: list[str] = []
    parts = ['"use strict";']
    for name, text in modules.items():
        for _imports, imported in _IMPORT.findall(text):
            if imported not in done:
                sentence = _("{name} imports {imported}, which must come before it.")
                raise ValueError(sentence.format(name=name, imported=imported))
        body = _IMPORT.sub(lambda match: f"const {{{match[1]}}} = {_variable(match[2])};\n", text)
        exported = _EXPORT.findall(body)
        body = _EXPORT.sub("", body)
        if left := _LEFT.search(body):
            sentence = _("{name} has an import or export that is not known here: {line}")
            raise ValueError(sentence.format(name=name, line=left[0]))
        parts.append(f"const {_variable(name)} = (() => {{\n{body}return {{ {', '.join(exported)} }};\n}})();")
        done.append(name)
    return "\n".join(parts) + "\n"


def _variable(name: str) -> str:
    return "module_" + re.sub(r"\W", "_", name.removesuffix(".js"))
