"""Job files: YAML 1.2 or JSON, a list of ``{"name", ...spec}``, or a mapping with such a list under ``jobs``.

What YAML would turn into something else without a word is either read as it was written (times stay text) or
answered with what to quote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from kadence.errors import InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ruamel.yaml.nodes import Node

SUFFIXES: Final = (".yaml", ".yml", ".json")
STDIN: Final = "-"
_SPECIAL: Final = {"*": "an alias", "@": "a reserved character", "`": "a reserved character", "&": "an anchor"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One job of a file: where it stands (``jobs.yaml, line 12``), its name and its spec as given."""

    where: str
    name: str
    spec: Mapping[str, object]


class _Constructor(SafeConstructor):
    """YAML's plain values, except that times stay the text they were: the contract reads them itself."""


def _as_text(_constructor: _Constructor, node: Node) -> str:
    return str(node.value)


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def files_of(path: Path) -> list[Path]:
    """The file itself, or a directory's job files by name. Raises `InvalidSpecError` where there are none."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise InvalidSpecError(f"{path} holds no job files ({', '.join('*' + suffix for suffix in SUFFIXES)})")
    return found


def read_entries(text: str, place: str) -> list[Entry]:
    """The jobs in ``text``; ``place`` names it in errors. Raises `InvalidSpecError` with place and line."""
    if place.endswith(".json") or text.lstrip()[:1] in {"[", "{"}:
        try:
            document = json.loads(text, object_pairs_hook=_no_duplicates)
        except json.JSONDecodeError as error:
            if place.endswith(".json"):
                raise InvalidSpecError(f"{place}, line {error.lineno}: it is not JSON: {error.msg}") from error
        except _DuplicateError as error:
            raise InvalidSpecError(f"{place}: the name {error} stands twice in one object") from error
        else:
            return list(_entries(document, [], place))
    return list(_yaml_entries(text, place))


class _DuplicateError(ValueError):
    """A name stands twice in one JSON object."""


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise _DuplicateError(repr(name))
        found[name] = value
    return found


def _yaml_entries(text: str, place: str) -> Iterator[Entry]:
    try:
        nodes = list(YAML(typ="safe", pure=True).compose_all(text))
        yaml = YAML(typ="safe", pure=True)
        yaml.Constructor = _Constructor
        documents = list(yaml.load_all(text))
    except DuplicateKeyError as error:
        line = _line_of(error)
        raise InvalidSpecError(f"{place}, line {line}: {_first_line(error.problem)}") from error
    except MarkedYAMLError as error:
        raise InvalidSpecError(f"{place}, line {_line_of(error)}: {_explained(error, text)}") from error
    except YAMLError as error:
        raise InvalidSpecError(f"{place}: it is not YAML: {_first_line(str(error))}") from error
    for document, node in zip(documents, nodes, strict=True):
        if document is not None:
            yield from _entries(document, _lines(node), place)


def _line_of(error: MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return 0 if mark is None else mark.line + 1


def _first_line(text: str | None) -> str:
    return (text or "it is not YAML").splitlines()[0]


def _explained(error: MarkedYAMLError, text: str) -> str:
    """The parser's word, or what to quote where a value begins with a character that means something else."""
    line = (text.splitlines() or [""])[max(_line_of(error) - 1, 0) :][:1]
    field, _, value = (line[0] if line else "").rpartition(": ")
    value = value.strip().rstrip("}],").strip()
    if value[:1] in _SPECIAL:
        told = field.strip().lstrip("-{ ") or "value"
        return f'quote the value of {told}, as "{value}": an unquoted {value[0]} is {_SPECIAL[value[0]]} in YAML'
    return f"it is not YAML: {_first_line(error.problem)}"


def _lines(node: Node | None) -> list[int]:
    """The line of each entry of the list, from 1."""
    if isinstance(node, MappingNode):
        lists = [value for key, value in node.value if key.value == "jobs"]
        node = lists[0] if lists else node
    if isinstance(node, SequenceNode):
        return [item.start_mark.line + 1 for item in node.value]
    return [] if node is None else [node.start_mark.line + 1]


def _entries(document: object, lines: list[int], place: str) -> Iterator[Entry]:
    match document:
        case {"jobs": list() as items, **others}:
            if others:
                raise InvalidSpecError(f"{place}: there is {', '.join(map(str, others))} beside jobs; remove it")
        case {"name": _}:
            items = [document]
        case list():
            items = document
        case _:
            raise InvalidSpecError(
                f"{place}: it must be a list of jobs (name, schedule, ...) or a mapping with that list under jobs"
            )
    for index, item in enumerate(items):
        where = f"{place}, line {lines[index]}" if index < len(lines) else f"{place}, entry {index + 1}"
        yield _entry(item, where)


def _entry(item: object, where: str) -> Entry:
    if not isinstance(item, dict):
        raise InvalidSpecError(f"{where}: a job must be a mapping with name and schedule, not {item!r:.40}")
    _check_keys(item, where)
    name = item.get("name")
    if name is None:
        raise InvalidSpecError(f"{where}: name is missing")
    if not isinstance(name, str):
        raise InvalidSpecError(f'{where}: name: {name!r} is not a text in YAML; quote it, as "{name}"')
    return Entry(where, name, {field: value for field, value in item.items() if field != "name"})


def _check_keys(value: object, where: str) -> None:
    """JSON knows text as names only; most others come from a comma or a colon in an unquoted value."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidSpecError(
                    f"{where}: {key!r} stands where a name should; quote values with commas inside {{...}}, "
                    f'as in cron: "0 9 * * 1,5"'
                )
            _check_keys(item, where)
    elif isinstance(value, list):
        for item in value:
            _check_keys(item, where)
