"""`Client`: jobs, pauses, holds and triggers from Python. Every change is a record on the control topic."""

from __future__ import annotations

import logging
import os
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol, Self

from typing_extensions import override

from kadence.client import commands, deploy
from kadence.client.commands import Command, Signature, Spec
from kadence.client.deploy import Deployed, Plan
from kadence.client.ending import ended_at
from kadence.client.history import History
from kadence.client.selecting import matches
from kadence.client.session import Session
from kadence.client.unheeded import unheeded
from kadence.client.written import Written, raise_for
from kadence.domain.stimulus import ReleaseHold
from kadence.errors import ConfigurationError, NotFoundError, SettingsError
from kadence.settings import Settings, are_addresses
from kadence.view import snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from types import TracebackType

    from kadence.client.commands import Time
    from kadence.clock import Clock
    from kadence.domain.holds import Selector
    from kadence.domain.spec import Policy
    from kadence.log.port import Log
    from kadence.view import HoldView, JobView, View

Wait = bool | float | timedelta
_DEPLOY_SECONDS: Final = 5.0
"""What a program that starts waits for a worker to confirm its jobs; there may be none yet."""

_log = logging.getLogger("kadence.client")


class ConnectionSettings(Protocol):
    """The part of `kadence.settings.Settings` that a client needs."""

    @property
    def bootstrap_servers(self) -> str:
        """``host:port``, separated by commas."""
        ...

    @property
    def namespace(self) -> str:
        """What kadence's topics begin with."""
        ...

    @property
    def kafka(self) -> Mapping[str, str]:
        """Further librdkafka properties."""
        ...


class Client(History):
    """A client of one namespace.

    Nothing is connected before the first call, and every process that uses the client (forked or spawned) has
    connections of its own. Safe for several threads.

    Writing calls wait until every shard concerned has the record in force, at most ``timeout`` seconds or what
    ``wait`` says (seconds or a timedelta; False: return once the record is in the log). They raise
    `InvalidSpecError` (nothing was written), `RejectedError` (a shard refused it), `NotConfirmedError` (recorded,
    but no worker has confirmed it in time), `UnreachableError` and `ConfigurationError`.
    """

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        *,
        settings: ConnectionSettings | None = None,
        log: Log | None = None,
        namespace: str | None = None,
        by: str | None = None,
        timeout: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        """Give one of ``bootstrap_servers``, ``settings`` and ``log``, or none: then the environment tells.

        ``by`` signs what is written (a claim). ``clock`` is for tests.
        """
        places = sum(place is not None for place in (bootstrap_servers, settings, log))
        if places > 1:
            raise ConfigurationError("say where the cluster is once: one of bootstrap_servers, settings and log")
        if bootstrap_servers is not None and not are_addresses(bootstrap_servers):
            given = f"{bootstrap_servers!r:.80}"
            raise SettingsError(f"bootstrap_servers cannot be {given}: it takes host:port, or several with ',' between")
        if places == 0:
            settings = Settings.load()
        self._servers = settings.bootstrap_servers if settings is not None else bootstrap_servers
        self._properties = dict(settings.kafka) if settings is not None else {}
        self._log = log
        super().__init__(namespace or (settings.namespace if settings is not None else "kadence"), by, clock)
        self.timeout = timeout
        # By process: after a fork the child must neither use nor tear down what it inherited.
        self._sessions: dict[int, Session] = {}

    # --- connections ---

    @override
    def _session(self) -> Session:
        session = self._sessions.get(os.getpid())
        if session is None:
            session = Session(self._open_log(), self.namespace, self._clock)
            session = self._sessions.setdefault(os.getpid(), session)
        return session

    def _open_log(self) -> Log:
        if self._log is not None:
            return self._log
        from kadence.log.kafka import KafkaLog  # noqa: PLC0415  librdkafka takes a tenth of a second to load

        return KafkaLog(self._servers or "", self._properties, client_id="kadence-client")

    def close(self) -> None:
        """Release this process's connections; the next call opens new ones. Idempotent."""
        session = self._sessions.pop(os.getpid(), None)
        if session is not None:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:  # type: ignore[explicit-override]  # Python 3.12 has typing.override
        """A client that is sent to another process opens its own connections there."""
        return {**self.__dict__, "_sessions": {}}

    # --- writing ---

    @override
    def submit(self, written: Sequence[Command], *, wait: Wait = True) -> tuple[Written, ...]:
        """Write commands (`kadence.client.commands`) in order; returns what became of each, without raising for it."""
        return tuple(self._session().submit(written, self._seconds(wait), self.timeout))

    def put(
        self,
        name: str,
        spec: Spec,
        *,
        if_offset: int | None = None,
        reason: str | None = None,
        wait: Wait = True,
    ) -> Written:
        """Create or change a job; ``spec`` is a JobSpec of the contract. Never touches whether it is paused.

        What this version keeps without acting on it is a warning of the logger ``kadence.client``.
        """
        signature = Signature(self.by, reason, if_offset)
        return self._put([commands.put(name, spec, self.namespace, signature)], wait)[0]

    def put_all(
        self, specs: Mapping[str, Spec], *, reason: str | None = None, wait: Wait = True
    ) -> tuple[Written, ...]:
        """Create or change many jobs at once. All are checked before any is written."""
        signature = Signature(self.by, reason)
        wanted = [commands.put(name, spec, self.namespace, signature) for name, spec in specs.items()]
        return self._put(wanted, wait)

    def plan(self, specs: Mapping[str, Spec], managed_by: str) -> Plan:
        """What `deploy` would do. Raises `InvalidSpecError`."""
        wanted = deploy.wanted_specs(specs, managed_by, self.namespace)
        return self._plan(wanted) if wanted else Plan(())

    def deploy(
        self, specs: Mapping[str, Spec], managed_by: str, *, strict: bool = False, wait: Wait = _DEPLOY_SECONDS
    ) -> Deployed:
        """Create and change the jobs of one program (an app's ``specs()``), writing only what differs from what is so.

        Nothing is deleted, and no pause is touched. A job that is managed by somebody else is left alone, and so is one
        that the program has no longer, with a warning of the logger ``kadence.client``; ``strict``: raises
        `ConfigurationError` for somebody else's, and nothing is written. Where a newer ``revision`` is in force, it
        stays. Nobody has to have confirmed it after ``wait``: it is recorded then. Raises `InvalidSpecError`, and
        `RejectedError` where a shard refused a record that is not stale.
        """
        wanted = deploy.wanted_specs(specs, managed_by, self.namespace)
        plan = self._plan(wanted) if wanted else Plan(())
        if strict:
            deploy.refuse_foreign(plan)
        signature = Signature(self.by)
        writing = [commands.put(step.name, wanted[step.name], self.namespace, signature) for step in plan.changes]
        for sentence in (*plan.warnings(), *plan.kept_warnings(), *unheeded(writing)):
            _log.warning("%s", sentence)
        plan, done = deploy.as_it_came_out(plan, self.submit(writing, wait=wait))
        raise_for([one for one in done if one.fate == "rejected"])
        return Deployed(plan, done)

    def _plan(self, wanted: Mapping[str, Mapping[str, object]]) -> Plan:
        return deploy.make_plan(self._look(), wanted)  # all of it: what is not wanted any more, too

    def delete(self, name: str, *, wait: Wait = True) -> Written:
        """Remove a job's definition and its pause. ``found`` says whether there was either."""
        done = self.submit(self.deletion(name), wait=wait)
        if self._seconds(wait) > 0:
            raise_for(done)
        found = None if done[0].found is None else any(one.found for one in done)
        last = done[-1]
        return Written("job", name, last.offset, last.timestamp, last.fate, last.error, found)

    def pause(
        self, name: str, *, reason: str | None = None, until: Time | timedelta | None = None, wait: Wait = True
    ) -> Written:
        """Pause a job, or one that is yet to come (``found``): until an instant, for a time, or until resumed."""
        return self._one(self.pausing(name, reason=reason, until=until), wait)

    def resume(
        self, name: str, *, catch_up: Policy | None = None, reason: str | None = None, wait: Wait = True
    ) -> Written:
        """Lift a job's pause and close its breaker; ``catch_up`` says what becomes of the due times in between."""
        return self._one(self.resuming(name, catch_up=catch_up, reason=reason), wait)

    def hold(
        self,
        name: str,
        match: Mapping[str, object] | Selector,
        *,
        start: Time | None = None,
        end: Time | timedelta | None = None,
        catch_up: Policy | None = None,
        reason: str | None = None,
        wait: Wait = True,
    ) -> Written:
        """Pause every job that ``match`` selects, those to come included, from ``start`` (now) to ``end`` (open).

        ``match`` is the contract's selector, such as ``{"tags": ["batch"], "not": {"names": ["vital-*"]}}`` or
        ``{"all": True}``. An ``end`` given as timedelta counts from ``start``. ``catch_up`` says what becomes of the
        due times that it kept when it ends by itself; for a hold without end, `release` is told that.
        """
        return self._one(self.holding(name, match, start=start, end=end, catch_up=catch_up, reason=reason), wait)

    def release(self, name: str, *, catch_up: Policy | None = None, wait: Wait = True) -> Written:
        """Release a hold: each job is again exactly what it was. ``found`` says whether there was such a hold.

        ``catch_up`` says what becomes of the due times that it kept (None: as each job says). The hold then stays on
        record as ended, until it is released without. Raises `NotFoundError` where no such hold is in force.
        """
        return self._one(self.releasing(name, catch_up=catch_up), wait)

    def releasing(self, name: str, *, catch_up: Policy | None = None) -> Command:
        """The record that releases a hold; with ``catch_up`` it is the hold again with an end, so the log is read."""
        if catch_up is not None:
            body = ended_at(name, self.status().holds.get(name), self._clock.wall(), catch_up)
            if body is not None:
                return commands.document("hold", name, body, self.namespace, Signature(self.by))
        return commands.wish("hold", name, ReleaseHold(), self.namespace)

    def trigger(
        self,
        name: str,
        payload: object = ...,
        *,
        id: str | None = None,  # noqa: A002  the contract's word for it
        reason: str | None = None,
        wait: Wait = True,
    ) -> str:
        """Run a job once now, paused or not, with its own payload or another; returns the id.

        The run, and the ``ce_id`` of its execution, is ``<name>!<id>``.

        An id acts once: the same id again is rejected as a duplicate, which makes a retry safe. Raises `NotFoundError`
        where a shard has rejected it because there is no such job.
        """
        token = id if id is not None else secrets.token_hex(8)
        done = self.submit([self.triggering(name, token, payload, reason=reason)], wait=wait)
        if self.lacks_job(done[0]):
            raise NotFoundError(f"there is no job {name} in namespace {self.namespace} to trigger")
        if self._seconds(wait) > 0:
            raise_for(done)
        return token

    def lacks_job(self, written: Written) -> bool:
        """Whether a trigger was rejected and there is no job of that name, so that this is why."""
        if written.fate != "rejected":
            return False
        return written.name not in self._look([written.name]).jobs

    # --- reading ---

    def status(self) -> View:
        """Everything: jobs, holds and shards at this moment."""
        return self._look()

    @override
    def get(self, name: str) -> JobView:
        """One job. Raises `NotFoundError`."""
        view = self._look([name])
        if name in view.jobs:
            return view.jobs[name]
        waits = "; a pause waits for one of that name" if name in view.pauses else ""
        raise NotFoundError(f"there is no job {name} in namespace {self.namespace}{waits}")

    def known(self, names: Collection[str]) -> Mapping[str, JobView]:
        """Those of these jobs that there are; only their shards are read."""
        return self._look(names).jobs

    def list(
        self, *, names: Iterable[str] = (), tags: Iterable[str] = (), states: Iterable[str] = ()
    ) -> tuple[JobView, ...]:
        """The jobs by name; given globs, tags or states, those that match one of each kind given."""
        wanted, wanted_states = matches(names, tags), set(states)
        return tuple(
            job
            for job in self.status().jobs.values()
            if (not wanted.names or wanted.name_matches(job.name))
            and (not wanted.tags or wanted.tag_matches(job.tags))
            and (not wanted_states or job.state in wanted_states)
        )

    def holds(self) -> tuple[HoldView, ...]:
        """The holds by name, ended ones included until they are released."""
        return tuple(self.status().holds.values())

    def _look(self, only: Collection[str] | None = None) -> View:
        return snapshot(self._session().log, self.namespace, self.timeout, only=only, clock=self._clock)

    # --- waiting ---

    def _seconds(self, wait: Wait) -> float:
        if isinstance(wait, bool):
            return self.timeout if wait else 0.0
        return wait.total_seconds() if isinstance(wait, timedelta) else wait

    def _put(self, wanted: Sequence[Command], wait: Wait) -> tuple[Written, ...]:
        for sentence in unheeded(wanted):
            _log.warning("%s", sentence)
        return self._all(wanted, wait)

    def _all(self, wanted: Sequence[Command], wait: Wait) -> tuple[Written, ...]:
        done = self.submit(wanted, wait=wait)
        if self._seconds(wait) > 0:
            raise_for(done)
        return done

    def _one(self, command: Command, wait: Wait) -> Written:
        return self._all([command], wait)[0]
