"""Durations in words."""


def duration(seconds: float) -> str:
    """Return seconds as text in the two largest units that fit: 5 s, 1 min 30 s, 2 h 1 min, 2 d 7 h."""
    total = max(0, round(seconds))
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if total >= size:
            return f"{total // size} {unit} {total % size // small} {smaller}"
    return f"{total} s"
