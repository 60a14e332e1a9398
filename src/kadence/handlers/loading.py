"""Finding an app by ``module:attribute``, and saying where it went wrong when that cannot be."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kadence.errors import KadenceError, SettingsError

if TYPE_CHECKING:
    from types import ModuleType

T = TypeVar("T")


def find_app(place: str, kind: type[T]) -> T:
    """The object of that kind at ``module:attribute``. Raises `SettingsError`."""
    module_name, _, attribute = place.partition(":")
    is_file = module_name.endswith(".py")
    if (
        is_file
        or not attribute
        or not all(part.isidentifier() for part in (*module_name.split("."), *attribute.split(".")))
    ):
        meant = module_name.removesuffix(".py").replace("/", ".").strip(".")
        raise SettingsError(
            f"{place!r:.200} names no app: write module:attribute, as in {meant or 'jobs'}:{attribute or 'app'}"
        )
    module = _import(module_name)
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            others = [name for name, value in vars(module).items() if isinstance(value, kind)]
            there = f"; there is {' and '.join(f'{module_name}:{name}' for name in others)}" if others else ""
            raise SettingsError(f"module {module_name} has no {attribute}{there}")
        found = getattr(found, part)
    if not isinstance(found, kind):
        raise SettingsError(f"{place} is a {type(found).__name__}, and a kadence.{kind.__name__} is needed")
    return found


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:  # as for `python -m`: what is run is where it is run
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise SettingsError(
                f"there is no module {error.name} in {here} or elsewhere on Python's path (PYTHONPATH); "
                f"run this where {error.name.partition('.')[0]} is"
            ) from error
        raise SettingsError(_failed(name, error)) from error
    except (Exception, SystemExit) as error:
        raise SettingsError(_failed(name, error)) from error


def _failed(name: str, error: BaseException) -> str:
    """What went wrong in the user's module, and where: the innermost line that is none of kadence's or Python's own."""
    what = str(error) if isinstance(error, KadenceError) else traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError):
        return f"module {name} cannot be imported: {error.filename}, line {error.lineno}: {what}"
    frames = traceback.extract_tb(error.__traceback__)
    outside = [one for one in frames if not one.filename.startswith((_OURS, "<frozen"))]
    own = [one for one in outside if not one.filename.startswith(_PYTHON)] or outside
    where = f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
    return f"module {name} cannot be imported: {where}{what}"


_OURS = str(Path(__file__).parents[1])
_PYTHON = str(Path(traceback.__file__).parent)
