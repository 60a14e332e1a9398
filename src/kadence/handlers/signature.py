"""What a handler's function takes and is, found out when it is declared."""

from __future__ import annotations

import inspect
import typing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Final

from kadence.errors import ConfigurationError
from kadence.handlers.payload import payload_of, shown
from kadence.handlers.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kadence.handlers.payload import Payload

_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_TAKES: Final = "a handler takes the run, as def f(run: Run[Invoice]), or nothing"


def is_async(name: str, function: Callable[..., object]) -> bool:
    """Whether calling it gives a coroutine. Raises `ConfigurationError` for a generator function."""
    kinds = [function, getattr(function, "__call__", None)]  # noqa: B004  an object's own __call__ is what is looked at
    if any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in kinds):
        raise ConfigurationError(
            f"job {name}: its handler {function_name(function)} is a generator (there is a yield in it), and would "
            "never run; return instead"
        )
    return any(inspect.iscoroutinefunction(one) for one in kinds)


def run_parameter(name: str, function: Callable[..., object]) -> inspect.Parameter | None:
    """The parameter that takes the run, or None where the function takes none. Raises `ConfigurationError`."""
    if not callable(function):
        raise ConfigurationError(f"job {name}: {function!r:.80} is no function; {_TAKES}")
    parameters = list(inspect.signature(function).parameters.values())
    needed = [one for one in parameters if one.default is one.empty and one.kind not in _VARIADIC]
    first = parameters[0] if parameters and parameters[0].kind in _POSITIONAL else None
    if first is not None and (first.kind in _VARIADIC or first.name == "run" or first in needed):
        needed = [one for one in needed if one is not first]
    else:
        first = None
    if needed:
        left = ", ".join(one.name for one in needed)
        raise ConfigurationError(f"job {name}: its handler {function_name(function)} wants {left} as well; {_TAKES}")
    return first


_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def declared_payload(
    name: str, function: Callable[..., object], parameter: inspect.Parameter, scope: Mapping[str, object]
) -> Payload:
    """The payload's type out of the annotation ``Run[…]``; without one any JSON.

    ``scope``: the local names where the function was declared, which count if it is local itself. Raises NameError
    where the annotation refers to a type that is not defined (yet), and `ConfigurationError`.
    """
    written = parameter.annotation
    if written is parameter.empty:
        return payload_of(name, Any)
    inner = inspect.unwrap(function)
    # An import of Run for type checkers only is common; of the payload's type it cannot work.
    module = {"Run": Run, **getattr(inner, "__globals__", {})}
    local = scope if "<locals>" in getattr(inner, "__qualname__", "") else {}
    annotated = SimpleNamespace(__annotations__={"run": written})
    kind = typing.get_type_hints(annotated, module, dict(local), include_extras=True)["run"]
    if typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    if any(kind is one for one in (Any, object, Run)):
        return payload_of(name, Any)
    if typing.get_origin(kind) is not Run:
        raise ConfigurationError(
            f"job {name}: its handler {function_name(function)} takes {shown(kind)}, but it is given a run; "
            f"write {parameter.name}: Run[{shown(kind)}], and its payload is one"
        )
    return payload_of(name, typing.get_args(kind)[0])


def function_name(function: object) -> str:
    """Its name and module, for messages."""
    named = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}".strip(".")
    return named or repr(function)[:80]
