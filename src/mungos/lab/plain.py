"""`dataclass(frozen=True, slots=True)`, as far as the lab needs it, without the import of `dataclasses`.

That import takes longer than all that happens between the lab's start and the command's. The classes made
here are dataclasses all the same: `fields`, `replace` and `asdict` work, and the real module is imported
when somebody calls one of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen, slots):
        """A decorator for a class of constants with annotated fields."""
        if not (frozen and slots):
            raise TypeError("only for what is frozen and has slots")
        return _made


__all__ = ["dataclass"]


def _made(plain: type) -> type:
    names = tuple(plain.__annotations__)
    body = {
        name: value
        for name, value in plain.__dict__.items()
        if name not in names and name not in ("__dict__", "__weakref__")
    }
    defaults = {name: plain.__dict__[name] for name in names if name in plain.__dict__}
    body |= {
        "__slots__": names,
        "__match_args__": names,
        "__qualname__": plain.__qualname__,
        "__annotations__": dict(plain.__annotations__),
        "__init__": _init(plain, names, defaults),
        "__eq__": _equal,
        "__hash__": _hash,
        "__repr__": _represent,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__reduce__": _reduce,
        "__dataclass_fields__": _Fields(defaults),
    }
    return type(plain.__name__, plain.__bases__, body)


def _init(plain: type, names: tuple[str, ...], defaults: dict[str, object]) -> object:
    taken = ", ".join(f"{name}=_of[{name!r}]" if name in defaults else name for name in names)
    lines = [f"def __init__(self, {taken}):", *(f"    _set(self, {name!r}, {name})" for name in names)]
    made: dict[str, object] = {"_set": object.__setattr__, "_of": defaults, "__name__": plain.__module__}
    exec("\n".join(lines), made)  # noqa: S102 - as `dataclasses` does it: a call costs as little as can be
    return made["__init__"]


def _values(self: object) -> tuple[object, ...]:
    return tuple([getattr(self, name) for name in type(self).__match_args__])  # type: ignore[attr-defined]


def _equal(self: object, other: object) -> bool:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: object) -> int:
    return hash(_values(self))


def _represent(self: object) -> str:
    names = type(self).__match_args__  # type: ignore[attr-defined]
    shown = ", ".join(f"{name}={value!r}" for name, value in zip(names, _values(self), strict=True))
    return f"{type(self).__qualname__}({shown})"


def _refuse(_self: object, name: str, _value: object = None) -> None:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415 - a mistake

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _reduce(self: object) -> tuple[type, tuple[object, ...]]:
    return type(self), _values(self)


class _Fields:
    """What `dataclasses` looks for; made by it, when somebody looks."""

    def __init__(self, defaults: dict[str, object]) -> None:
        self._defaults = defaults

    def __get__(self, instance: object, owner: type) -> object:
        import dataclasses  # noqa: PLC0415 - see above

        made: type = dataclasses.make_dataclass(
            owner.__name__,
            [
                (name, kind, dataclasses.field(default=self._defaults[name]))
                if name in self._defaults
                else (name, kind)
                for name, kind in owner.__annotations__.items()
            ],
            frozen=True,
        )
        found: object = vars(made)["__dataclass_fields__"]
        type.__setattr__(owner, "__dataclass_fields__", found)
        return found
