"""Damage to files: a flipped bit."""


def flipped(content: bytes, bit: int) -> bytes:
    """Return bytes with one bit flipped, counted from the beginning."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
