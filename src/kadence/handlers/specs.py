"""From what is given to `@app.job(…)` to a JobSpec of the contract, checked as a worker will check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from kadence.domain import spec as domain
from kadence.domain.fields import InvalidError, unknown_field
from kadence.domain.plain import plain_mapping
from kadence.errors import ConfigurationError, InvalidSpecError

if TYPE_CHECKING:
    from kadence.domain.spec import JobSpec
    from kadence.handlers.jobfields import JobFields

APP_HEADER: Final = "kadence-app"
"""The header of an execution that names its app, and with an ``@`` its group if that is not the namespace's own.

An executor knows by it what is its own, what goes to executors of another group, and what nobody else is given.
"""

DEFAULTS: Final[JobFields] = {"overlap": "skip", "breaker": {"failures": 1, "probe_after": "1m"}}
"""For handlers in code: no run beside an unfinished one, and a handler that raises takes its job out of service."""

_SCHEDULES: Final = ("cron", "every", "at", "schedule")
_OF_THE_APP: Final = ("managed_by", "revision")
_NAMESPACE: Final = "\0"
"""No topic begins with it: which ones are kadence's own is known, and looked at, when a job is deployed."""


def check_defaults(app: str, given: Mapping[str, object]) -> None:
    """Raise `ConfigurationError` for a default that is no field, or none that jobs can share."""
    known = [name for name in domain.FIELDS if name not in {"schedule", *_OF_THE_APP}]
    for name in given:
        if name not in known:
            raise ConfigurationError(f"app {app}: defaults: {unknown_field(name, known, 'the defaults of an app')}")


def app_mark(app: str, group: str | None) -> str:
    """The value of the app's header."""
    return app if group is None else f"{app}@{group}"


def document_of(
    app: str,
    group: str | None,
    revision: int | None,
    defaults: Mapping[str, object],
    job: str,
    given: Mapping[str, Any],
) -> tuple[dict[str, object], JobSpec]:
    """The spec as the contract's JSON, and read.

    A field that is given replaces its default as a whole. Raises `ConfigurationError` for what a handler cannot ask
    for, and `InvalidSpecError` for what no job can; both name the job.
    """
    fields = {name: value for name, value in given.items() if name not in {*_SCHEDULES, "timezone"}}
    for name in _OF_THE_APP:
        if name in fields:
            raise ConfigurationError(f"job {job}: {name} is the app's to give; leave it out here")
    known = (*domain.FIELDS, *_SCHEDULES, "timezone")
    for name in fields:
        if name not in known:
            raise InvalidSpecError(f"job {job}: {unknown_field(name, known, 'a job')}")
    try:
        wanted = plain_mapping({"schedule": _schedule(job, given), **defaults, **fields})
        wanted = {name: value for name, value in wanted.items() if value is not None or name == "payload"}
        wanted |= {"target": _target(app_mark(app, group), job, wanted.get("target")), "managed_by": app}
        if revision is not None:
            wanted["revision"] = revision
        return wanted, domain.parse_spec(job, wanted, _NAMESPACE)
    except (TypeError, ValueError) as error:
        raise InvalidSpecError(f"job {job}: {error}") from error


def _schedule(job: str, given: Mapping[str, Any]) -> object:
    chosen = [name for name in _SCHEDULES if given.get(name) is not None]
    if len(chosen) != 1:
        said = "no schedule is given" if not chosen else f"{' and '.join(chosen)} are both given"
        raise ConfigurationError(f"job {job}: {said}; give one of cron, every, at and schedule")
    kind, zone = chosen[0], given.get("timezone")
    if zone is not None and kind != "cron":
        raise ConfigurationError(f"job {job}: timezone goes with cron; {kind} takes none")
    if kind == "schedule":
        return given[kind]
    return {kind: given[kind]} if zone is None else {kind: given[kind], "timezone": zone}


def _target(mark: str, job: str, given: object) -> dict[str, object]:
    target = given if given is not None else {}
    if not isinstance(target, Mapping):
        raise InvalidError("target: must be an object with key and headers")
    if target.get("topic") is not None:
        raise ConfigurationError(
            f"job {job}: target.topic is given, but a job with a handler is executed from the namespace's own topic; "
            "leave it out, or define the job in a file for `kadence apply`"
        )
    headers = target.get("headers") or {}
    if not isinstance(headers, Mapping):
        raise InvalidError("target: headers: must be an object")
    if APP_HEADER in headers:
        raise ConfigurationError(f"job {job}: the header {APP_HEADER} is the app's own; leave it out")
    return {**target, "headers": {**headers, APP_HEADER: mark}}
