"""Every error the library raises, in one tree.

::

    BpfModelError
    ├── DeclarationError (TypeError)      a class body that cannot be understood
    │   └── UndefinedNameError (NameError)  an annotation names what is not defined, or not yet
    ├── SourceError (ValueError)          bytes that are no usable BPF object
    ├── MismatchError (TypeError)         a declaration and an object disagree; .findings lists how
    ├── ConstantError (ValueError)        constants that cannot be rewritten; .findings lists why
    ├── BpfValueError (ValueError)        a value out of range or of the wrong length
    │   └── BpfTypeError (TypeError)      a value of the wrong Python type
    ├── ReadOnlyError (TypeError)         a write to a constant or to the declaration itself
    ├── ClosedError (ValueError)          a handle used after its object was closed
    ├── NotSupportedError (RuntimeError)  this engine, kernel or libbpf cannot do it
    └── KernelError (OSError)             the kernel or libbpf said no; .errno says which no
        ├── PrivilegeError (PermissionError)
        ├── LoadError                     .log has the messages of libbpf
        │   └── VerifierError             .log has the verifier's whole log
        ├── AttachError
        ├── RunError
        └── MapError

    FoldedConstantWarning (UserWarning)   rewriting this constant changes nothing

Each one is also the nearest builtin, so ``except ValueError`` and ``except OSError`` work as usual.
A key that a map does not hold is a plain ``KeyError``, as in every mapping.
"""

from __future__ import annotations

import errno as _errno
import os
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning"]


class Finding(NamedTuple):
    """One difference between what was declared and what was found."""

    path: str
    """Where: the field, then the way inside, as in ``flows.value.packets``."""
    message: str
    """What: ``declared u32 (4 bytes), found __u64 (8 bytes) in .bss``."""
    hint: str = ""
    """What to do about it; empty where the message says enough."""
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def _listing(title: str, findings: Sequence[Finding]) -> str:
    count = f"{len(findings)} finding" + ("" if len(findings) == 1 else "s")
    return "\n".join([f"{title} ({count})", *(f"  {finding}" for finding in findings)])


class BpfModelError(Exception):
    """The root of the tree: catches whatever the library raises."""


class DeclarationError(BpfModelError, TypeError):
    """A class body cannot be understood: an unknown annotation, a bad length, a name bound twice."""


class UndefinedNameError(DeclarationError, NameError):
    """An annotation names what is defined nowhere, or only later; it is looked up again at each use until it is there."""


class SourceError(BpfModelError, ValueError):
    """The bytes are not a BPF object that can be used: no ELF, another machine, truncated, hostile."""


class MismatchError(BpfModelError, TypeError):
    """A declaration and an object disagree. The message lists every finding."""

    def __init__(self, title: str, findings: Sequence[Finding]) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        """All differences, as data."""
        super().__init__(_listing(title, self.findings))


class ConstantError(BpfModelError, ValueError):
    """Constants cannot be rewritten. The message lists all that is wrong; nothing was changed."""

    def __init__(self, title: str, findings: Sequence[Finding]) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        """All refused names and values, as data."""
        super().__init__(_listing(title, self.findings))


class BpfValueError(BpfModelError, ValueError):
    """A value does not fit its C type: out of range, or of the wrong length."""

    def __init__(self, message: str, path: str = "") -> None:
        self.message = message
        """What is wrong, without the path."""
        self.path = path
        """Where inside the value: ``stats.packets``, ``[3]``."""
        super().__init__(f"{path}: {message}" if path else message)

    def within(self, outer: str) -> BpfValueError:
        """Return the same error seen from one level further out; `outer` is a name or ``[index]``."""
        joint = "." if outer and self.path and not self.path.startswith("[") else ""
        return type(self)(self.message, f"{outer}{joint}{self.path}")


class BpfTypeError(BpfValueError, TypeError):
    """A value is of a Python type that its C type has no room for."""


class ReadOnlyError(BpfModelError, TypeError):
    """A write to something that is only read: a constant, or a field of the objects class itself."""


class ClosedError(BpfModelError, ValueError):
    """The object behind this handle was closed."""


class NotSupportedError(BpfModelError, RuntimeError):
    """This engine, kernel or libbpf cannot do what was asked; the message names what is missing."""


class KernelError(BpfModelError, OSError):
    """The kernel or libbpf refused. `errno` is its answer, as in any OSError."""

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno

    def __str__(self) -> str:
        return str(self.args[0])


class PrivilegeError(KernelError, PermissionError):
    """The process lacks a capability that BPF needs."""


class LoadError(KernelError):
    """An object could not be opened or loaded; nothing of it is left in the kernel."""

    def __init__(self, message: str, errno: int | None = None, log: str = "") -> None:
        super().__init__(message, errno)
        self.log = log
        """What libbpf said on the way, whole."""


class VerifierError(LoadError):
    """The kernel's verifier rejected a program."""

    def __init__(self, message: str, errno: int | None = None, log: str = "", program: str = "") -> None:
        super().__init__(message, errno, log)
        self.program = program
        """The C name of the rejected program."""


class AttachError(KernelError):
    """A program could not be attached."""


class RunError(KernelError):
    """A program could not be run by the kernel's test facility."""


class MapError(KernelError):
    """A map operation failed for another reason than a missing key."""


class FoldedConstantWarning(UserWarning):
    """The compiler folded a constant into the code: rewriting it changes nothing."""


def shown(value: object) -> str:
    """Show a value in a message: shortened, and whatever its own ``repr`` does."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"  # Python itself refuses to print the longest
    try:
        text = repr(value)
    except Exception:
        return f"a {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:160]}… ({type(value).__name__})"


class Unique:
    """What stands for something in the kernel or in memory, and cannot be copied or pickled: there is one of it."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError(f"{type(self).__name__} stands for something live, and cannot be copied or pickled")


def errno_text(number: int) -> str:
    """Name an errno as people search for it: ``ENOENT, No such file or directory``."""
    number = abs(number)
    # The kernel's own ENOTSUPP (524) is not in any libc's table.
    if number == 524:
        return "ENOTSUPP, operation not supported by this kernel"
    return f"{_errno.errorcode.get(number, number)}, {os.strerror(number)}"
