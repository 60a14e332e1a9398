"""Deploying the jobs of one program: what would change, and writing only that. Nothing is ever deleted or resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from kadence.client import commands
from kadence.domain.plain import plain_mapping
from kadence.domain.spec import JobSpec, parse_spec
from kadence.errors import ConfigurationError, InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kadence.client.commands import Spec
    from kadence.client.written import Written
    from kadence.view import JobView, View

What = Literal["created", "changed", "unchanged", "stale", "foreign"]
"""``stale``: a newer revision is in force. ``foreign``: a job of that name is managed by somebody else."""

_STALE: Final = "stale"
"""How a shard begins to say that it refused a record because a newer one is in force."""
_NEVER_COMPARED: Final = frozenset({"paused"})
"""Read when a job is created, and never again."""


@dataclass(frozen=True, slots=True)
class Step:
    """What deploying means to one job; ``fields`` names what changes, ``why`` says why it is not to be touched."""

    name: str
    what: What
    fields: tuple[str, ...] = ()
    why: str | None = None

    @property
    def writes(self) -> bool:
        """Whether a record is to be written."""
        return self.what in {"created", "changed"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What deploying some jobs would do, in the order that they were given in."""

    steps: tuple[Step, ...]

    @property
    def changes(self) -> tuple[Step, ...]:
        """Those that write something."""
        return tuple(step for step in self.steps if step.writes)

    def warnings(self) -> tuple[str, ...]:
        """One sentence for each job that is somebody else's."""
        return tuple(
            f"job {step.name} is left alone: {step.why}; give one of the two another name, or delete the other one"
            for step in self.steps
            if step.what == "foreign"
        )


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment did: the plan as it came out, and what became of each record written."""

    plan: Plan
    written: tuple[Written, ...] = ()

    @property
    def in_force(self) -> bool:
        """Whether a worker has confirmed all that was written."""
        return all(one.in_force for one in self.written)


def wanted_specs(specs: Mapping[str, Spec], managed_by: str, namespace: str) -> dict[str, dict[str, object]]:
    """The definitions in the contract's JSON, with who manages them. Raises `InvalidSpecError`."""
    if not managed_by:
        raise InvalidSpecError("a deployment needs a name that its jobs are managed by")
    wanted: dict[str, dict[str, object]] = {}
    for name, spec in specs.items():
        given = spec.document() if isinstance(spec, JobSpec) else spec
        if not isinstance(given, Mapping):
            raise InvalidSpecError(f"job {name}: a job must be a mapping such as {{'schedule': {{'every': '30s'}}}}")
        managed = {**given, "managed_by": managed_by}
        commands.put(name, managed, namespace)  # refused here is refused before anything is written
        wanted[name] = plain_mapping(managed)
    return wanted


def make_plan(view: View, wanted: Mapping[str, Mapping[str, object]]) -> Plan:
    """Compare definitions with those in force, by what they mean."""
    specs = {name: parse_spec(name, document, view.namespace) for name, document in wanted.items()}
    return Plan(tuple(_step(view.jobs.get(name), name, spec) for name, spec in specs.items()))


def _step(job: JobView | None, name: str, wanted: JobSpec) -> Step:
    known = None if job is None else job.coming
    if known is None:
        return Step(name, "created")
    if known.managed_by not in {None, wanted.managed_by}:
        return Step(name, "foreign", why=f"it is managed by {known.managed_by}")
    if known.revision is not None and (wanted.revision or 0) < known.revision:
        mine = "no revision" if wanted.revision is None else f"revision {wanted.revision}"
        return Step(name, "stale", why=f"{mine} is older than {known.revision}, which is in force")
    changed = tuple(_differing(known, wanted))
    return Step(name, "changed", changed) if changed else Step(name, "unchanged")


def _differing(known: JobSpec, wanted: JobSpec) -> Iterator[str]:
    """The names of the fields that differ, as the contract spells them; parts with a dot."""
    for name in ("schedule", "start", "end"):
        if getattr(known.timing, name) != getattr(wanted.timing, name):
            yield name
    for field in fields(JobSpec):
        if field.name == "timing" or field.name in _NEVER_COMPARED:
            continue
        before, after = getattr(known, field.name), getattr(wanted, field.name)
        if before == after:
            continue
        parts = [] if field.name == "payload" else list(_parts(before, after))
        yield from (f"{field.name}.{part}" for part in parts) if parts else (field.name,)


def _parts(before: Any, after: Any) -> Iterator[str]:  # noqa: ANN401  the value of any field
    if is_dataclass(before) and type(before) is type(after):
        for field in fields(before):
            if getattr(before, field.name) != getattr(after, field.name):
                yield field.name


def refuse_foreign(plan: Plan) -> None:
    """Raise `ConfigurationError` where a job is somebody else's."""
    warnings = plan.warnings()
    if warnings:
        more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
        raise ConfigurationError(f"{warnings[0]}{more}; nothing was written")


def as_it_came_out(plan: Plan, written: Iterable[Written]) -> tuple[Plan, tuple[Written, ...]]:
    """The plan, and the records that count, when a newer deployment has come in between: that is no error."""
    done = tuple(written)
    late = {one.name: one.error for one in done if one.fate == "rejected" and (one.error or "").startswith(_STALE)}
    steps = tuple(
        replace(step, what="stale", fields=(), why=late[step.name]) if step.name in late else step
        for step in plan.steps
    )
    return Plan(steps), tuple(one for one in done if one.name not in late)
