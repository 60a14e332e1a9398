"""`App`: the handlers of one program, by the names of their jobs."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from kadence.domain.fields import InvalidError, integer
from kadence.domain.names import job_name
from kadence.errors import ConfigurationError, InvalidSpecError
from kadence.handlers import signature
from kadence.handlers.handler import Handler
from kadence.handlers.loading import find_app
from kadence.handlers.payload import InvalidPayloadError
from kadence.handlers.run import Run
from kadence.handlers.specs import DEFAULTS, check_defaults, document_of

if TYPE_CHECKING:
    import inspect
    from collections.abc import Mapping

    from typing_extensions import Unpack

    from kadence.domain.spec import JobSpec
    from kadence.handlers.jobfields import Duration, JobFields, Schedule, Time

F = TypeVar("F", bound=Callable[[], object] | Callable[[Run[Any]], object])


class App:
    """Jobs whose work is done by Python functions: ``@app.job(name, …)`` declares one.

    What an execution runs is looked up here, by the job's name, and nowhere else.
    """

    def __init__(
        self,
        name: str,
        *,
        revision: int | None = None,
        defaults: JobFields | None = None,
        group: str | None = None,
        run_paused_backlog: bool = False,
    ) -> None:
        """``name`` is what its jobs are managed by, and what an executor knows its executions by.

        ``revision``: of the program; what an older one asks for does not replace what a newer one asked for.
        ``defaults``: fields of all its jobs. ``group``: executors of this app share out its runs in a consumer group
        of their own; needed where several apps use one namespace. ``run_paused_backlog``: whether runs that waited
        are done although their job has been stopped meanwhile. Raises `ConfigurationError`.
        """
        try:
            self.name = job_name(name)
            self._group = None if group is None else job_name(group)
            self.revision = None if revision is None else integer(0, 2**53)(revision)
        except InvalidError as error:
            raise ConfigurationError(f"app {name!r:.80}: {error}") from None
        check_defaults(self.name, defaults or {})
        self._defaults = {**DEFAULTS, **(defaults or {})}
        self.run_paused_backlog = run_paused_backlog
        self._specs: dict[str, dict[str, object]] = {}
        self._handlers: dict[str, Handler] = {}
        self._shown: Mapping[str, Handler] = MappingProxyType(self._handlers)
        self._unresolved: dict[str, Callable[[], Handler]] = {}

    def group_of(self, namespace: str) -> str:
        """The consumer group of this app's executors."""
        return f"{namespace}.executors" if self._group is None else f"{namespace}.executors.{self._group}"

    @property
    def group(self) -> str | None:
        """The last part of the group's name, where the app has one of its own."""
        return self._group

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by job. Raises `ConfigurationError` where a payload's type is not defined by now."""
        for name, resolve in list(self._unresolved.items()):
            try:
                self._handlers[name] = resolve()
            except NameError as error:
                raise ConfigurationError(
                    f"job {name}: the type of its handler's payload is not known when the program runs ({error}); "
                    "import it outside of TYPE_CHECKING, or define it in its module"
                ) from error
            del self._unresolved[name]
        return self._shown

    def specs(self) -> dict[str, dict[str, object]]:
        """The jobs' definitions, in the contract's JSON, for `Client.deploy`."""
        return copy.deepcopy(self._specs)

    @overload
    def job(
        self,
        name: str,
        *,
        cron: str,
        timezone: str = ...,
        concurrency: int | None = ...,
        ordered: bool = ...,
        **fields: Unpack[JobFields],
    ) -> Callable[[F], F]: ...
    @overload
    def job(
        self,
        name: str,
        *,
        every: Duration,
        concurrency: int | None = ...,
        ordered: bool = ...,
        **fields: Unpack[JobFields],
    ) -> Callable[[F], F]: ...
    @overload
    def job(
        self,
        name: str,
        *,
        at: Time,
        concurrency: int | None = ...,
        ordered: bool = ...,
        **fields: Unpack[JobFields],
    ) -> Callable[[F], F]: ...
    @overload
    def job(
        self,
        name: str,
        *,
        schedule: Schedule,
        concurrency: int | None = ...,
        ordered: bool = ...,
        **fields: Unpack[JobFields],
    ) -> Callable[[F], F]: ...

    def job(
        self, name: str = "", *, concurrency: int | None = None, ordered: bool = False, **given: Any
    ) -> Callable[[F], F]:
        """Declare the decorated function, plain or async, as what job ``name`` does; it stays what it was.

        It takes the `Run`, or nothing. Give one of ``cron`` (with ``timezone``), ``every``, ``at`` and ``schedule``,
        and any other field of a JobSpec. ``concurrency``: runs of this job at once in one executor, 1 for a job with
        ``overlap: skip`` where it is not given. ``ordered``: one after the other, in the order of the log. Raises
        `ConfigurationError` and `InvalidSpecError`.
        """
        _check_name(name)
        _check_limits(name, concurrency, ordered=ordered)
        document, spec = document_of(self.name, self._group, self.revision, self._defaults, name, given)
        scope = sys._getframe(1).f_locals  # noqa: SLF001  a payload's type may be local to where the handler is

        def declare(function: F) -> F:
            self._check_new(name, function)
            parameter = signature.run_parameter(name, function)
            handler = Handler(
                name,
                function,
                is_async=signature.is_async(name, function),
                takes_run=parameter is not None,
                concurrency=1 if ordered or (spec.serial and concurrency is None) else concurrency,
                ordered=ordered,
                timeout=spec.timeout,
                expires_after=spec.expires_after,
            )
            if parameter is not None:
                resolve = partial(_with_payload, handler, parameter, scope, spec)
                try:
                    handler = resolve()
                except NameError:  # defined further down in its module, it may be
                    self._unresolved[name] = resolve
            self._handlers[name], self._specs[name] = handler, document
            return function

        return declare

    def _check_new(self, name: str, function: object) -> None:
        if name in self._handlers:
            known = signature.function_name(self._handlers[name].function)
            raise ConfigurationError(
                f"job {name} has two handlers in app {self.name}, {known} and {signature.function_name(function)}; "
                "give one of them another name"
            )


def load_app(place: str) -> App:
    """The app that ``module:attribute`` names, imported with the current directory on the path.

    Raises `ConfigurationError` (a `SettingsError`) with one sentence; where the module fails, it says at which line.
    """
    return find_app(place, App)


def _check_name(name: object) -> None:
    if callable(name) or name == "":
        raise ConfigurationError('job takes a name and a schedule, as @app.job("invoices.daily", every="1h")')
    try:
        job_name(name)
    except InvalidError as error:
        raise InvalidSpecError(str(error)) from None


def _check_limits(name: str, concurrency: object, *, ordered: bool) -> None:
    if concurrency is None:
        return
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
        raise ConfigurationError(f"job {name}: concurrency must be a whole number from 1 on, not {concurrency!r:.40}")
    if ordered and concurrency > 1:
        raise ConfigurationError(f"job {name}: ordered runs are done one at a time; leave concurrency out")


def _with_payload(
    handler: Handler, parameter: inspect.Parameter, scope: Mapping[str, object], spec: JobSpec
) -> Handler:
    """The handler with its payload's type, by which what the definition itself sends is checked at once."""
    payload = signature.declared_payload(handler.name, handler.function, parameter, scope)
    if spec.payload.field is None and spec.paused:  # run by triggers that bring theirs
        return replace(handler, payload=payload)
    headers = {name: value.encode() for name, value in spec.target.headers}
    if spec.payload.is_json:
        headers.setdefault("content-type", b"application/json")
    try:
        payload.read(spec.payload.data, headers)
    except Exception as error:
        why = str(error) if isinstance(error, InvalidPayloadError) else f"{type(error).__name__}: {error}"
        missing = " (none is given, which is null)" if spec.payload.field is None else ""
        raise InvalidSpecError(f"job {handler.name}: its payload does not suit its handler{missing}: {why}") from error
    return replace(handler, payload=payload)
