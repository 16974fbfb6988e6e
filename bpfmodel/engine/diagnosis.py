"""Makes one clear error of what libbpf and the verifier said."""

from __future__ import annotations

import errno
import re
from typing import NamedTuple

from ..errors import KernelError, LoadError, VerifierError, errno_text
from ..spec.collection import CollectionSpec
from ..spec.uapi import type_name

_LOG = re.compile(
    r"prog '(?P<name>[^']*)': -- BEGIN (?:PROG LOAD|DUMP) LOG --\n(?P<log>.*?)-- END (?:PROG LOAD|DUMP) LOG --",
    re.DOTALL,
)
_FAILED = re.compile(r"prog '(?P<name>[^']*)': BPF program load failed: (?P<why>[^\n]*)")
_MAP_FAILED = re.compile(r"map '(?P<name>[^']*)': failed to create: (?P<why>[^\n]*)")
_SOURCE_LINE = re.compile(r"^; (?P<code>.*?)(?: @ (?P<file>[^@]*):(?P<line>\d+))?$")
_INSTRUCTION = re.compile(r"^\d+: \([0-9a-f]{2}\) ")
_NOISE = re.compile(r"^(processed \d+ insns|verification time|stack depth|-- |arg#\d+ reference type)")

_HINTS = (
    (re.compile(r"invalid access to packet|outside of the packet"),
     "compare the pointer with data_end before reading through it"),
    (re.compile(r"map_value_or_null|invalid mem access 'map_value_or_null'"),
     "a lookup may return NULL: test its result before using it"),
    (re.compile(r"!read_ok"), "a register or variable is used before anything was stored in it"),
    (re.compile(r"Unreleased reference|reference leak"), "something acquired is not released on every path"),
    (re.compile(r"unbounded memory access|unbounded min value|invalid access to map value"),
     "bound the index or size, with a comparison or a mask, before using it"),
    (re.compile(r"(unknown func|cannot use helper|program of this type cannot use helper)"),
     "this type of program may not call that helper"),
    (re.compile(r"cannot call GPL-restricted function"), 'the helper is GPL-only: set LICENSE to "GPL"'),
    (re.compile(r"BPF program is too large|too many instructions"), "the program is too complex for the verifier"),
    (re.compile(r"infinite loop detected|back-edge"), "bound the loop, or use bpf_loop()"),
    (re.compile(r"At program exit the register R0"), "return one of the values this type of program may return"),
)  # fmt: skip


class _Verdict(NamedTuple):
    reason: str
    source: str
    instruction: str


def verifier_logs(text: str) -> dict[str, str]:
    """Return the verifier's logs by program, out of libbpf's messages."""
    return {match["name"]: match["log"] for match in _LOG.finditer(text)}


def load_error(spec: CollectionSpec, what: str, number: int, said: list[str]) -> KernelError:
    """Make the error for an object that libbpf could not open or load."""
    log = "".join(said)
    failed = _FAILED.search(log)
    if failed is not None:
        name = failed["name"]
        verdict = verifier_logs(log).get(name, "")
        if verdict.strip():
            return VerifierError(_verifier_message(spec, name, verdict), number, verdict, name)
        return LoadError(
            f"{spec.name}: program {name}: {errno_text(number)}{_load_hint(spec, name, number)}", number, log
        )
    if "not on BPF FS" in log:
        return LoadError(
            f"{spec.name}: pin_path is not on bpffs; give a directory under /sys/fs/bpf, and mount it if it is empty: "
            "mount -t bpf bpf /sys/fs/bpf",
            number,
            log,
        )
    map_failed = _MAP_FAILED.search(log)
    if map_failed is not None:
        name = map_failed["name"]
        return LoadError(
            f"{spec.name}: map {name} cannot be created: {errno_text(number)}{_map_hint(spec, name)}", number, log
        )
    told = [line.removeprefix("libbpf: ").strip() for line in log.splitlines()]
    told = [line for line in told if line and not line.startswith("failed to load object")]
    reason = "; ".join(told[:3]) or "libbpf gave no reason"
    return LoadError(f"{spec.name} {what}: {errno_text(number)}: {reason}", number, log)


def _verifier_message(spec: CollectionSpec, name: str, log: str) -> str:
    verdict = _verdict(log)
    parts = [f"{spec.name}: the verifier rejects program {name}: {verdict.reason}"]
    if verdict.source:
        parts.append(f"  at: {verdict.source}")
    if verdict.instruction:
        parts.append(f"  instruction {verdict.instruction}")
    hint = next((hint for pattern, hint in _HINTS if pattern.search(verdict.reason)), "")
    if hint:
        parts.append(f"  hint: {hint}")
    parts.append(f"  the whole log, {len(log.splitlines())} lines, is in .log")
    return "\n".join(parts)


def _verdict(log: str) -> _Verdict:
    """Find the verdict, the last instruction that was looked at, and the C line it came from."""
    lines = log.rstrip("\n \0").splitlines()
    reason = next((line for line in reversed(lines) if line.strip() and not _NOISE.match(line)), "no reason given")
    source = instruction = ""
    for line in reversed(lines):
        if not instruction and _INSTRUCTION.match(line):
            instruction = line.split(" ;")[0].strip()
        match = _SOURCE_LINE.match(line)
        if match:
            where = f"  ({match['file']}:{match['line']})" if match["file"] else ""
            source = match["code"].strip() + where
            break
    return _Verdict(reason.strip(), source, instruction)


def _load_hint(spec: CollectionSpec, name: str, number: int) -> str:
    section = spec.programs[name].section if name in spec.programs else ""
    if number == errno.EINVAL and not section:
        return "; the kernel refused it without a word"
    if number in (errno.EPERM, errno.EACCES):
        return f"; this kernel does not allow programs of section {section} here (a lockdown, or a missing feature)"
    if number == errno.ESRCH or number == errno.ENOENT:
        return f"; what its section {section} attaches to is not in this kernel"
    return f"; section {section}"


def _map_hint(spec: CollectionSpec, name: str) -> str:
    found = spec.maps.get(name)
    if found is None:
        return ""
    if not found.max_entries:
        return f"; max_entries is 0: set spec.maps[{name!r}].max_entries before load"
    kind = type_name(found.type)
    return (
        f"; type {kind}, key {found.key_size} bytes, value {found.value_size} bytes, {found.max_entries} entries, "
        f"flags {found.flags:#x}"
    )
