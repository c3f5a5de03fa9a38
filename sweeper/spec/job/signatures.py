"""The arguments of a job's networks in users' files, read from their signatures before the job is checked.

Reading a signature runs the file, so a process of its own does it (`sweeper.trials.networks.traced.signature`), only
where the code is trusted. An answer is remembered in the cache folder, by the digest of the code.
"""

import json
import subprocess
from collections.abc import Sequence

from pydantic import TypeAdapter

from sweeper.errors import UsageError
from sweeper.files import cache_folder, read_cached_text, write_cache
from sweeper.spec.cards.user_networks import UserNetwork, name_in_rows
from sweeper.spec.records.ident import digest
from sweeper.spec.user_code.code import Code, is_file_name
from sweeper.spec.user_code.processes import run_module

READER = "sweeper.trials.networks.traced.signature"
SECONDS = 120.0  # for the import of one file
VERSION = 1  # of the reader; another version reads all signatures again
_ADAPTER = TypeAdapter(UserNetwork)


def read_signatures(trusted: Sequence[Code], names: Sequence[str]) -> tuple[tuple[UserNetwork, ...], dict[str, str]]:
    """Return the networks in users' files with their arguments, and the problem by name of those without a signature.

    Args:
        trusted: The code of the job; code whose file doesn't exist is left out.
        names: The names of the job's networks.
    """
    networks, problems = [], {}
    for code in trusted:
        if code.name in names and is_file_name(code.name) and code.digest:
            try:
                networks.append(read_signature(code))
            except UsageError as error:
                problems[code.name] = str(error)
    return tuple(networks), problems


def read_signature(code: Code) -> UserNetwork:
    """Return a network in a user's file with its arguments.

    Raises:
        UsageError: The file can't be imported, or it has no class or function of this name.
    """
    attribute = code.name.rpartition(":")[2]
    path = cache_folder() / "signatures" / f"{_key(code, attribute)}.json"
    try:
        network = _ADAPTER.validate_json(read_cached_text(path))
    except (OSError, ValueError):
        answer = _ask(code, attribute)
        network = _ADAPTER.validate_json(answer)
        write_cache(path, answer)
    named = {"name": code.name, "card": name_in_rows(code), "where": f"{code.path}:{attribute}"}
    return UserNetwork(**named, line=network.line, arguments=network.arguments, takes_any=network.takes_any)


def _key(code: Code, attribute: str) -> str:
    return digest(json.dumps([VERSION, code.digest, attribute]).encode())[:32]


def _ask(code: Code, attribute: str) -> str:
    """Return the answer of the process that reads a signature: a `UserNetwork` as JSON.

    Raises:
        UsageError: It found a mistake in the file, or ended without an answer.
    """
    try:
        reader = run_module([READER, f"{code.path}:{attribute}"], seconds=SECONDS)
    except subprocess.TimeoutExpired:
        raise UsageError(f"{code.path} takes more than {SECONDS:.0f} s to import") from None
    if reader.exit_code == 0:
        return reader.answer
    ending = f"the import of {code.path} ends with exit code {reader.exit_code}"
    raise UsageError(reader.errors[-1] if reader.errors else ending)
