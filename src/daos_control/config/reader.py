"""A model out of a file's tree, with everything that is wrong in it, and as much of it as can be used.

Where a value is wrong it is left out and the rest is read again, so that the checks between values can still run
over what is good: one reading tells all mistakes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from daos_control.config.problems import KeyPath, nearest_key
from daos_control.config.source import Mapping, Node, Scalar, Sequence, Source
from daos_control.config.values import ValueProblem, show

ModelT = TypeVar("ModelT", bound=BaseModel)

# A null among these items is skipped, and the positions of the others count without it, as DAOS does.
_NULLS_SKIPPED = "storage"
_LISTS_OF_SECTIONS = ("engines", "storage")


@dataclass(frozen=True, slots=True)
class Reading(Generic[ModelT]):
    """`model` holds what could be read; at the `broken` keys of the file it has nothing, or a default."""

    model: ModelT
    broken: tuple[KeyPath, ...] = ()

    def in_file(self, path: KeyPath) -> KeyPath:
        """The key of the file for a key of the model: they differ after an item of a list that was left out."""
        made: KeyPath = ()
        for part in path:
            if isinstance(part, int):
                for gone in sorted(p[-1] for p in self.broken if p[:-1] == made and isinstance(p[-1], int)):
                    if part >= gone and made[-1] not in _LISTS_OF_SECTIONS:
                        part += 1
            made = (*made, part)
        return made


def read(model: type[ModelT], source: Source) -> Reading[ModelT]:
    """Read `source` as `model`; what is wrong is added to `source.problems`."""
    if source.root is None:
        return Reading(model())
    _skip_nulls(source.root)
    tree = _tree(source.root)
    try:
        return Reading(model.model_validate(tree, by_alias=True, by_name=False))
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
    broken: list[KeyPath] = []
    for error in errors:
        path = tuple(error["loc"])
        broken.append(path)
        nearest = _report(model, source, path, error)
        if nearest:
            broken.append((*path[:-1], nearest))  # is not missing: it is misspelt
    # Pydantic names all that is wrong at once, so without it the rest is sound.
    for error in errors:
        _leave_out(tree, tuple(error["loc"]))
    _sweep(tree)
    return Reading(model.model_validate(tree, by_alias=True, by_name=False), tuple(broken))


def _report(model: type[BaseModel], source: Source, path: KeyPath, error: Any) -> str:
    """Add the problem; returns the key that an unknown one was probably meant to be."""
    kind = error["type"]
    if kind == "extra_forbidden":
        name = str(path[-1])
        known = _known_keys(model, path[:-1])
        nearest = nearest_key(name, known)
        allowed = "" if nearest else "known here: " + ", ".join(sorted(known))
        place = _key_position(source, path)
        source.report(path, "unknown key", place, nearest=nearest, allowed=allowed)
        return nearest
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, ValueProblem):
        source.report(path, cause.message, allowed=cause.allowed, code=cause.code)
    elif kind == "list_type":
        source.report(path, f"must be a list, not {show(error['input'])}", allowed="[a, b], or lines of `- a`")
    else:
        source.report(path, f"must be a map of keys, not {show(error['input'])}", allowed="lines of `key: value`")
    return ""


def _key_position(source: Source, path: KeyPath) -> Any:
    node: Node | None = source.root
    for part in path[:-1]:
        if isinstance(node, Mapping):
            node = node.entries.get(str(part))
        elif isinstance(node, Sequence) and isinstance(part, int):
            node = node.items[part]
    return node.keys.get(str(path[-1])) if isinstance(node, Mapping) else None


def model_keys(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """Each key of a section as it is written in the file, with pydantic's description of the field."""
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        yield alias if isinstance(alias, str) else name, info


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds, by itself or as the items of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = section_of(argument)
        if found is not None:
            return found
    return None


def _known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    section: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, str) and section is not None:
            section = next((section_of(info.annotation) for key, info in model_keys(section) if key == part), None)
    return [key for key, _ in model_keys(section)] if section is not None else []


def _skip_nulls(node: Node) -> None:
    if isinstance(node, Mapping):
        for name, child in node.entries.items():
            if name == _NULLS_SKIPPED and isinstance(child, Sequence):
                child.items = [item for item in child.items if not (isinstance(item, Scalar) and item.is_null)]
            _skip_nulls(child)
    elif isinstance(node, Sequence):
        for item in node.items:
            _skip_nulls(item)


def _tree(node: Node) -> Any:
    """Maps and lists as Python's own; a key without a value is a key that is not there."""
    if isinstance(node, Mapping):
        return {
            name: _tree(child)
            for name, child in node.entries.items()
            if not (isinstance(child, Scalar) and child.is_null)
        }
    if isinstance(node, Sequence):
        return [_tree(item) for item in node.items]
    return node


_GONE = object()


def _leave_out(tree: Any, path: KeyPath) -> None:
    """Take the value at `path` out of the tree; a section in a list is emptied, to keep the others in place."""
    parent = tree
    for part in path[:-1]:
        parent = parent[part]
    last = path[-1]
    if isinstance(parent, dict):
        parent.pop(last, None)
    else:
        parent[last] = {} if path[-2] in _LISTS_OF_SECTIONS else _GONE


def _sweep(tree: Any) -> None:
    """Remove from all lists the items that were left out."""
    if isinstance(tree, list):
        tree[:] = [item for item in tree if item is not _GONE]
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        _sweep(child)
