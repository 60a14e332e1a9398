"""Deploying the jobs of one program: what would change, and writing only that. Nothing is ever deleted or resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from kadence.client import commands
from kadence.client.differing import differing
from kadence.domain.plain import plain_mapping
from kadence.domain.spec import JobSpec, parse_spec
from kadence.errors import ConfigurationError, InvalidSpecError
from kadence.log.topics import namespace_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kadence.client.commands import Spec
    from kadence.client.differing import Change
    from kadence.client.written import Written
    from kadence.view import JobView, View

What = Literal["created", "changed", "unchanged", "stale", "foreign", "kept"]
"""``stale``: a newer revision is in force. ``foreign``: a job of that name is managed by somebody else. ``kept``: it is
not among those given, but managed by the same program, and goes on as it is."""

_STALE: Final = "stale"
"""How a shard begins to say that it refused a record because a newer one is in force."""


@dataclass(frozen=True, slots=True)
class Step:
    """What deploying means to one job: the ``changes`` to its fields, or ``why`` it is not to be touched."""

    name: str
    what: What
    changes: tuple[Change, ...] = ()
    why: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that change, as the contract spells them; parts with a dot."""
        return tuple(change.field for change in self.changes)

    @property
    def writes(self) -> bool:
        """Whether a record is to be written."""
        return self.what in {"created", "changed"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What deploying some jobs would do, in the order that they were given in; ``kept``: those that were not given."""

    steps: tuple[Step, ...]
    kept: tuple[Step, ...] = ()

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

    def kept_warnings(self) -> tuple[str, ...]:
        """One sentence for each job that the program no longer has."""
        return tuple(f"job {step.name} is {step.why}" for step in self.kept)


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
    steps = tuple(_step(view.jobs.get(name), name, spec) for name, spec in specs.items())
    return Plan(steps, tuple(_kept(view, specs)))


def _kept(view: View, specs: Mapping[str, JobSpec]) -> Iterator[Step]:
    """The jobs that the program has no longer. Those of a newer revision it does not have yet."""
    ours = {spec.managed_by for spec in specs.values()}
    revision = max((spec.revision or 0 for spec in specs.values()), default=0)
    option = namespace_option(view.namespace)
    for name, job in view.jobs.items():
        known = job.coming
        newer = known is not None and (known.revision or 0) > revision
        if known is not None and known.managed_by in ours and name not in specs and not newer:
            goes_on = "; it goes on firing" if job.state in {"running", "pending"} else ""
            why = f"not in the app any more{goes_on}: kadence delete {name}{option}"
            yield Step(name, "kept", why=why)


def _step(job: JobView | None, name: str, wanted: JobSpec) -> Step:
    known = None if job is None else job.coming
    if known is None:
        return Step(name, "created")
    if known.managed_by not in {None, wanted.managed_by}:
        return Step(name, "foreign", why=f"it is managed by {known.managed_by}")
    if known.revision is not None and (wanted.revision or 0) < known.revision:
        mine = "no revision" if wanted.revision is None else f"revision {wanted.revision}"
        return Step(name, "stale", why=f"{mine} is older than {known.revision}, which is in force")
    changed = differing(known, wanted)
    return Step(name, "changed", changed) if changed else Step(name, "unchanged")


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
        replace(step, what="stale", changes=(), why=late[step.name]) if step.name in late else step
        for step in plan.steps
    )
    return Plan(steps, plan.kept), tuple(one for one in done if one.name not in late)
