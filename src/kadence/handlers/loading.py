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
    """What went wrong in the user's module, and where: the innermost line of the user's, and those that led to it."""
    what = str(error) if isinstance(error, KadenceError) else traceback.format_exception_only(error)[-1].strip()
    frames = traceback.extract_tb(error.__traceback__)
    outside = [one for one in frames if not one.filename.startswith((_OURS, "<frozen"))]
    led = [_place(one) for one in reversed(outside) if not one.filename.startswith(_PYTHON)]
    if isinstance(error, SyntaxError):  # its own line never ran, and is no frame
        led.insert(0, f"{error.filename}, line {error.lineno}")
    elif not led:
        led = [_place(one) for one in outside[-1:]]
    came = f" (called from {'; '.join(led[1:_PLACES])})" if led[1:] else ""
    return f"module {name} cannot be imported: {led[0] + came + ': ' if led else ''}{what}"


def _place(frame: traceback.FrameSummary) -> str:
    inside = "" if frame.name == "<module>" else f", in {frame.name}"
    return f"{frame.filename}, line {frame.lineno}{inside}"


_PLACES = 8
"""So many at most: a recursion says the same again and again."""
_OURS = str(Path(__file__).parents[1])
_PYTHON = str(Path(traceback.__file__).parent)
