"""The translation of other software's errors at the command line.

Errors of the operating system, of missing libraries and of full memory are about the machine, not about Sweeper, so
they get a sentence of their own. Every other unexpected exception is a defect of Sweeper.
"""

from sweeper.errors import SetupError, SweeperError

# Errors of libraries about the machine, by the library's package and the name of the class.
_OF_LIBRARIES = {
    "duckdb": ("DuckDB", {"IOException", "OutOfMemoryException", "PermissionException", "HTTPException"}),
    "ray": (
        "Ray",
        {
            *("AuthenticationError", "NodeDiedError", "ObjectStoreFullError", "OutOfDiskError", "OutOfMemoryError"),
            *("RaySystemError", "RpcError", "RuntimeEnvSetupError"),
        },
    ),
    "torch": ("torch", {"OutOfMemoryError", "AcceleratorError"}),
}


def translate(error: BaseException) -> SweeperError | None:
    """Return the error that a user sees in place of an error of other software; None for a defect of Sweeper."""
    match error:
        case SweeperError():
            return error
        case UnicodeEncodeError():
            return SetupError(f"the terminal can't show {error.object[error.start]!a}: set PYTHONIOENCODING=utf-8")
        case ModuleNotFoundError() if error.name and not error.name.startswith("sweeper"):
            return SetupError(f"the library {error.name} is not installed; `sweeper doctor` lists what is missing")
        case ImportError() if not (error.name or "").startswith("sweeper"):
            return SetupError(f"a library can't be imported: {_first_line(error)}; `sweeper doctor` checks them")
        case MemoryError():
            return SetupError("this machine has too little free memory for the command")
        case OSError():
            return _os_error(error)
    library, names = _OF_LIBRARIES.get(type(error).__module__.lstrip("_").partition(".")[0], ("", set()))
    if any(cls.__name__ in names for cls in type(error).__mro__):
        return SetupError(f"{library} reports: {_first_line(error)}")
    return None


def _os_error(error: OSError) -> SweeperError:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    place = f"{names[0]}: " if names else ""
    return SetupError(f"{place}{error.strerror or _first_line(error)}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
