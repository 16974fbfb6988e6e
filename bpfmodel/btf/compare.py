"""Says how a declared type and a type found in an object differ, one difference at a time.

Strict declarations pin the C type: size, signedness and kind must agree, and equal size alone is never enough. Loose ones
(`kinds.Loose`) take any type that their Python type converts to. Qualifiers and typedefs are transparent. Structs are
compared by member name: offset, width, then type, and a difference that only follows from an earlier one is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple

from ..errors import SourceError
from . import kinds
from .kinds import strip
from .layout import align_of, size_of
from .render import c_name, describe


class Difference(NamedTuple):
    """One difference. `path` leads inside the type: ``.packets``, ``[].mode``, or nothing for the type itself."""

    path: str
    message: str
    hint: str = ""


def compare(declared: kinds.Type, found: kinds.Type) -> list[Difference]:
    """List all differences, in the order of the found type's members; an empty list means they match."""
    return list(_differences(declared, found, ""))


def _differences(declared: kinds.Type, found: kinds.Type, path: str) -> Iterator[Difference]:
    wanted, bare = strip(declared), strip(found)
    if isinstance(wanted, kinds.Loose):
        if not converts(wanted.python, bare):
            yield _types(path, declared, found, f"{wanted.name} does not convert to it")
    elif isinstance(wanted, kinds.Composite):
        if not isinstance(bare, kinds.Composite) or bare.keyword != wanted.keyword:
            yield _types(path, declared, found, _advice(wanted, found))
        else:
            yield from _members(wanted, bare, path)
    elif isinstance(wanted, kinds.Array):
        yield from _arrays(wanted, declared, found, path)
    elif isinstance(wanted, kinds.Enum):
        yield from _enums(wanted, declared, found, path)
    elif not _same_scalar(wanted, bare):
        yield _types(path, declared, found, _advice(wanted, found))


def _types(path: str, declared: kinds.Type, found: kinds.Type, hint: str = "") -> Difference:
    return Difference(path, f"declared {describe(declared)}, found {describe(found)}", hint)


def _same_scalar(wanted: kinds.Type, bare: kinds.Type) -> bool:
    if isinstance(wanted, kinds.Int):
        if isinstance(bare, kinds.Enum):
            return not wanted.is_bool and wanted.size == bare.size
        return (
            isinstance(bare, kinds.Int)
            and (wanted.size, wanted.is_bool) == (bare.size, bare.is_bool)
            and (wanted.is_bool or wanted.signed == bare.signed)
        )
    if isinstance(wanted, kinds.Float):
        return isinstance(bare, kinds.Float) and wanted.size == bare.size
    return isinstance(wanted, kinds.Ptr) and isinstance(bare, kinds.Ptr)


def _arrays(wanted: kinds.Array, declared: kinds.Type, found: kinds.Type, path: str) -> Iterator[Difference]:
    bare = strip(found)
    if not isinstance(bare, kinds.Array):
        yield _types(path, declared, found, _advice(wanted, found))
        return
    element = strip(bare.element)
    if wanted.python is str:
        fits = isinstance(element, kinds.Int) and element.is_char
    elif wanted.python is bytes:
        fits = isinstance(element, kinds.Int) and element.size == 1 and not element.is_bool
    else:
        inner = list(_differences(wanted.element, bare.element, path + "[]"))
        if any(difference.path != path + "[]" for difference in inner) and wanted.length == bare.length:
            yield from inner  # the arrays agree, something inside their elements does not
            return
        fits = not inner
    if not fits or wanted.length != bare.length:
        yield _types(path, declared, found, _advice(wanted, found))


def _enums(wanted: kinds.Enum, declared: kinds.Type, found: kinds.Type, path: str) -> Iterator[Difference]:
    bare = strip(found)
    if not isinstance(bare, kinds.Enum) or bare.size != wanted.size:
        yield _types(path, declared, found, _advice(wanted, found))
        return
    # Compilers before clang 15 do not say that an enum is signed, so values are compared as bit patterns.
    mask = (1 << wanted.size * 8) - 1
    there = {name: value & mask for name, value in bare.enumerators}
    wrong = False
    for name, value in wanted.enumerators:
        if name not in there:
            wrong = True
            close = get_close_matches(name, there, 1)
            yield Difference(
                f"{path}.{name}", f"declared {value}, no such enumerator in {c_name(found)}",
                f"a close match is {close[0]}" if close else "",
            )  # fmt: skip
        elif there[name] != value & mask:
            wrong = True
            yield Difference(f"{path}.{name}", f"declared {value}, found {dict(bare.enumerators)[name]}")
    if not wrong and bare.signed and not wanted.signed and any(value < 0 for _, value in bare.enumerators):
        yield Difference(path, f"declared unsigned, found a signed {c_name(found)}")


class Placed(NamedTuple):
    """A member as C code reaches it: `offset` in bits from the outermost struct, `bits` 0 unless a bitfield."""

    name: str
    type: kinds.Type
    offset: int
    bits: int
    attribute: str


MAX_MEMBERS = 1 << 14
"""More members than any real struct has, those of anonymous ones included; hostile ones can have 2**64."""


def reachable(composite: kinds.Composite) -> Iterator[Placed]:
    """List the members of a struct with those of its anonymous members in their place, as C names them.

    The old form of bitfields, where the width is in the integer type, comes out like the new one.

    Raises:
        SourceError: there are more than `MAX_MEMBERS`.
    """
    # A stack and no recursion, so that members without a name count as well, though they are not returned.
    todo, seen = [iter([(member, 0) for member in composite.members])], 0
    while todo:
        member, base = next(todo[-1], (None, 0))
        if member is None:
            todo.pop()
            continue
        seen += 1
        if seen > MAX_MEMBERS:
            raise SourceError(f"{c_name(composite)} has more than {MAX_MEMBERS} members")
        bare, offset, bits = strip(member.type), base + member.offset, member.bits
        if not member.name and isinstance(bare, kinds.Composite):
            todo.append(iter([(inner, offset) for inner in bare.members]))
            continue
        if not bits and isinstance(bare, kinds.Int) and bare.bits != bare.size * 8:
            offset, bits = offset + bare.offset, bare.bits
        if member.name:
            yield Placed(member.name, member.type, offset, bits, member.attribute)


def _members(wanted: kinds.Composite, bare: kinds.Composite, path: str) -> Iterator[Difference]:
    ours = {member.name: member for member in reachable(wanted)}
    theirs = {member.name: member for member in reachable(bare)}
    missing = [member for member in ours.values() if member.name not in theirs]
    holders = _holders(bare)
    shifted = False  # once one member is off, the places of the ones behind it say nothing new
    told = False
    moved: tuple[int, Difference] | None = (
        None  # told only if nothing behind it in the same anonymous member explains it
    )
    for member in theirs.values():
        where, holder = f"{path}.{member.name}", holders.get(member.name, -1)
        if moved is not None and moved[0] != holder:
            yield moved[1]
            moved = None
        mine = ours.get(member.name)
        if mine is None:
            same = (m for m in missing if m.offset == member.offset and m.bits == member.bits)
            renamed = next((m for m in same if not compare(m.type, member.type)), None)
            told, moved = True, None
            if renamed is not None:
                missing.remove(renamed)
                yield Difference(
                    f"{path}.{renamed.name}", f"no such member; {_place(member.offset)} lies {member.name}"
                )
            else:
                shifted = True
                yield _undeclared(where, member)
            continue
        if mine.bits != member.bits:
            told, shifted, moved = True, True, None
            yield Difference(where, f"declared {_width(mine)}, found {_width(member)}")
        else:
            for difference in _differences(mine.type, member.type, where):
                told, moved = True, None
                room, found = (size_of(mine.type), align_of(mine.type)), (size_of(member.type), align_of(member.type))
                shifted = shifted or room != found
                yield difference
        if mine.offset != member.offset and not shifted:
            told = shifted = True
            difference = Difference(where, f"declared {_place(mine.offset)}, found {_place(member.offset)}")
            if holder < 0:
                yield difference
            else:
                moved = holder, difference
    if moved is not None:
        yield moved[1]
    for member in missing:
        close = get_close_matches(member.name, [name for name in theirs if name not in ours], 1)
        told = True
        yield Difference(
            f"{path}.{member.name}", f"no such member in {c_name(bare)}",
            f"a close match is {close[0]}" if close else "",
        )  # fmt: skip
    if not told and wanted.size != bare.size:
        yield Difference(
            path, f"declared {wanted.size} bytes, found {bare.size} bytes", "every member matches: alignment differs"
        )


def _holders(composite: kinds.Composite) -> dict[str, int]:
    """Return which anonymous member each name lies in: what is off in one of them may move all of it."""
    found = {}
    for index, member in enumerate(composite.members):
        inner = strip(member.type)
        if not member.name and isinstance(inner, kinds.Composite):
            found.update(dict.fromkeys((other.name for other in reachable(inner)), index))
    return found


def _undeclared(where: str, member: Placed) -> Difference:
    inner = spell(member.type)
    written = f"Bits[{inner}, L[{member.bits}]]" if member.bits else inner
    hint = f"add {member.name}: {written}" if inner else ""
    return Difference(where, f"not declared, found {describe(member.type)} {_place(member.offset)}", hint)


def _place(bits: int) -> str:
    return f"at bit {bits}" if bits % 8 else f"at offset {bits // 8}"


def _width(member: Placed) -> str:
    return f"a bitfield of {member.bits} bits" if member.bits else describe(member.type)


def converts(python: Any, bare: kinds.Type) -> bool:
    """Tell whether values of a loose annotation's Python type convert to a C type (stripped of qualifiers)."""
    rule = _CONVERTS.get(python)
    return rule is None or rule(bare)


def _bytes_like(bare: kinds.Type) -> bool:
    element = strip(bare.element) if isinstance(bare, kinds.Array) else None
    return isinstance(bare, kinds.Composite) or (
        isinstance(element, kinds.Int) and element.size == 1 and not element.is_bool
    )


def _char_array(bare: kinds.Type) -> bool:
    element = strip(bare.element) if isinstance(bare, kinds.Array) else None
    return isinstance(element, kinds.Int) and element.is_char


_CONVERTS: dict[Any, Callable[[kinds.Type], bool]] = {
    int: lambda bare: isinstance(bare, (kinds.Enum, kinds.Ptr)) or (isinstance(bare, kinds.Int) and not bare.is_bool),
    float: lambda bare: isinstance(bare, kinds.Float),
    str: _char_array,
    bytes: _bytes_like,
    list: lambda bare: isinstance(bare, kinds.Array),
    Any: lambda bare: not isinstance(bare, (kinds.Void, kinds.Fwd, kinds.FuncProto)),
}


def _advice(wanted: kinds.Type, found: kinds.Type) -> str:
    """Say why types of equal size do not match, and otherwise what declaration would."""
    suggestion = spell(found)
    reason = ""
    bare = strip(found)
    try:
        same_size = size_of(wanted) == size_of(bare)
    except SourceError:  # the found type has no size to agree in
        return ""
    if same_size and isinstance(wanted, kinds.Int) and isinstance(bare, kinds.Int):
        if wanted.is_bool or bare.is_bool:
            reason = "one is bool, the other an integer"
        else:
            reason = f"it is {'signed' if bare.signed else 'unsigned'}"
    elif isinstance(wanted, kinds.Int) and isinstance(bare, kinds.Int) and wanted.signed == bare.signed:
        return ""  # two widths of the same thing: the message has said it all
    return "; ".join(filter(None, (reason, f"declare {suggestion}" if suggestion else "")))


def spell(found: kinds.Type) -> str:
    """Spell the annotation for a C type, or nothing where it takes a class of the user's."""
    bare = strip(found)
    if isinstance(bare, kinds.Int):
        return "boolean" if bare.is_bool else f"{'s' if bare.signed else 'u'}{bare.size * 8}"
    if isinstance(bare, kinds.Float):
        return {4: "f32", 8: "f64"}.get(bare.size, "")
    if isinstance(bare, kinds.Ptr):
        return "pointer"
    if isinstance(bare, kinds.Array):
        element = strip(bare.element)
        if isinstance(element, kinds.Int) and element.is_char:
            return f"CString[L[{bare.length}]]"
        if isinstance(element, kinds.Int) and element.size == 1 and not element.signed and not element.is_bool:
            return f"Bytes[L[{bare.length}]]"
        inner = spell(bare.element)
        return f"Array[{inner}, L[{bare.length}]]" if inner else ""
    return ""
