"""Named tuples for the boot path.

``typing.NamedTuple`` and ``dataclasses`` cost more to import than the whole selection of a slot costs to run
(``typing`` alone is a third of an interpreter start). This base gives the same values: immutable, compared by
value, unpackable, with keyword arguments and defaults. Type checkers are shown ``typing.NamedTuple`` instead, so a
class declares its fields in the usual way::

    class Point(Record):
        x: int
        y: int = 0

A ``CheckedRecord`` calls its method ``_check`` with the names of the fields that were given, whenever it is made by its class or
``_replace``. ``_make`` makes one as it stands on a disk, be it as illegal as it may, and so does ``unchecked`` from keywords; of that,
``_replace`` checks what it replaces. A class without fields of its own has those of its base.
"""

from __future__ import annotations

__all__ = ["CheckedRecord", "Record", "unchecked"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as CheckedRecord
    from typing import NamedTuple as Record
    from typing import TypeVar

    _Kind = TypeVar("_Kind")

    def unchecked(kind: type[_Kind], **fields: object) -> _Kind:
        """A ``CheckedRecord`` whose values are not checked. Raises TypeError for missing and unknown fields."""
else:
    # As in ``collections``: the descriptor of named tuples, in C where there is one.
    try:
        from _collections import _tuplegetter
    except ImportError:
        from _operator import itemgetter

        def _tuplegetter(place, doc):
            return property(itemgetter(place), doc=doc)

    _new_tuple = tuple.__new__

    class _RecordType(type):
        def __new__(mcs, name, bases, namespace):
            if bases == (tuple,):
                return super().__new__(mcs, name, bases, namespace)
            fields = tuple(namespace.get("__annotations__", ()))
            if not fields:
                namespace["__slots__"] = ()
                return super().__new__(mcs, name, bases, namespace)
            defaults = {field: namespace.pop(field) for field in fields if field in namespace}
            namespace.update({field: _tuplegetter(place, None) for place, field in enumerate(fields)})
            namespace.update(__slots__=(), _fields=fields, _field_defaults=defaults, _arity=len(fields))
            return super().__new__(mcs, name, bases, namespace)

    class Record(tuple, metaclass=_RecordType):
        __slots__ = ()
        _fields = ()
        _arity = 0
        _field_defaults = {}

        def __new__(cls, *values, **named):
            if named or len(values) != cls._arity:
                values = cls._complete(values, named)
            return _new_tuple(cls, values)

        @classmethod
        def _make(cls, values):
            return tuple.__new__(cls, values)

        @classmethod
        def _complete(cls, values, named):
            known = {**cls._field_defaults, **dict(zip(cls._fields, values, strict=False)), **named}
            clashes = [field for field in cls._fields[: len(values)] if field in named]
            missing = [field for field in cls._fields if field not in known]
            if clashes or missing or len(known) != cls._arity or len(values) > cls._arity:
                wrong = [*clashes, *(field for field in named if field not in cls._fields)]
                raise TypeError(f"{cls.__name__} takes ({', '.join(cls._fields)}); wrong: {wrong}, missing: {missing}")
            return [known[field] for field in cls._fields]

        def _replace(self, **named):
            values = list(self)
            for field, value in named.items():
                if field not in self._fields:
                    raise TypeError(f"{type(self).__name__} has no field {field}")
                values[self._fields.index(field)] = value
            return tuple.__new__(type(self), values)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            fields = ", ".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({fields})"

    class CheckedRecord(Record):
        __slots__ = ()

        def __new__(cls, *values, **named):
            made = Record.__new__(cls, *values, **named)
            made._check(cls._fields)
            return made

        def _replace(self, **named):
            made = Record._replace(self, **named)
            made._check(named)
            return made

        def __reduce__(self):
            return type(self)._make, (tuple(self),)

    def unchecked(kind, **fields):
        return kind._make(kind._complete((), fields))
