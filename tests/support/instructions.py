"""A few BPF instructions, enough for programs that a verifier accepts.

All are little-endian; `swapped` turns them into what a big-endian object holds, and the object builder calls
it, so that tests write a program once for both.
"""

import struct

SIZE = 8
"""Bytes per instruction; `ld_imm64` takes two."""

LD_IMM64, CALL = 0x18, 0x85
_SIZE_CODES = {4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18}


def insn(opcode: int, dst: int = 0, src: int = 0, offset: int = 0, imm: int = 0) -> bytes:
    """Encode any instruction. The immediate may be signed or not."""
    return struct.pack("<BBhI", opcode, src << 4 | dst, offset, imm & 0xFFFFFFFF)


def mov64_imm(reg: int, imm: int) -> bytes:
    return insn(0xB7, reg, imm=imm)


def mov64_reg(dst: int, src: int) -> bytes:
    return insn(0xBF, dst, src)


def add64_imm(reg: int, imm: int) -> bytes:
    return insn(0x07, reg, imm=imm)


def ld_imm64(reg: int, imm: int = 0, src_reg: int = 0) -> bytes:
    """Load a 64-bit constant or, once relocated, the address of a map or variable."""
    return insn(LD_IMM64, reg, src_reg, imm=imm) + insn(0, imm=imm >> 32)


def ldx(size: int, dst: int, src: int, offset: int = 0) -> bytes:
    """Load `size` bytes: dst = *(src + offset)."""
    return insn(0x61 | _SIZE_CODES[size], dst, src, offset)


def stx(size: int, dst: int, src: int, offset: int = 0) -> bytes:
    """Store `size` bytes: *(dst + offset) = src."""
    return insn(0x63 | _SIZE_CODES[size], dst, src, offset)


def st(size: int, dst: int, offset: int = 0, imm: int = 0) -> bytes:
    """Store a constant of `size` bytes: *(dst + offset) = imm."""
    return insn(0x62 | _SIZE_CODES[size], dst, 0, offset, imm)


def jeq_imm(reg: int, imm: int, offset: int) -> bytes:
    """Skip `offset` instructions if the register equals the constant."""
    return insn(0x15, reg, 0, offset, imm)


def call(imm: int, src_reg: int = 0) -> bytes:
    """Call helper number `imm`; with `src_reg=1` and `imm=-1`, the function that a reference names."""
    return insn(CALL, 0, src_reg, imm=imm)


def exit_() -> bytes:
    return insn(0x95)


def swapped(code: bytes | bytearray) -> bytes:
    """Turn little-endian instructions into big-endian ones: the two register nibbles trade places as well."""
    output = bytearray()
    for opcode, registers, offset, imm in struct.iter_unpack("<BBhI", code):
        output += struct.pack(">BBhI", opcode, registers >> 4 | (registers & 0xF) << 4, offset, imm)
    return bytes(output)
