"""Archives whose bytes or whose metadata were changed: each works, or is refused in one line."""

from __future__ import annotations

import copy
import json
import random
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dero_tvm.aot.archive import METADATA, ModelArchive
from tests.fuzzing.hostile_values import FLOATS, NAMES, SIZES, damaged_bytes

SEEDS = 36
OTHERS = [None, True, [], {}, [1], {"a": 1}, *NAMES, *SIZES, *FLOATS]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to each part of JSON data."""
    if not isinstance(value, (dict, list)):
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        yield from places(part, (*path, key))


def changed(rng: random.Random, metadata: dict[str, Any]) -> dict[str, Any]:
    """`metadata` with one part taken out, or replaced by something else."""
    result: Any = copy.deepcopy(metadata)
    *path, last = rng.choice(list(places(metadata)))
    parent = result
    for key in path:
        parent = parent[key]
    if rng.random() < 0.2:
        del parent[last]
    else:
        parent[last] = rng.choice(OTHERS)
    return result


def test_damaged_archives(run, archive_file: Path, tmp_path: Path) -> None:
    good = archive_file.read_bytes()
    with tarfile.open(archive_file) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
    metadata = json.loads(files[METADATA])
    path, statuses = tmp_path / "bad.tar", Counter()
    for seed in range(SEEDS):
        rng = random.Random(seed)
        if seed % 3:
            text = json.dumps(changed(rng, metadata)).encode()
            ModelArchive({**files, METADATA: text}).save(path)
        else:
            path.write_bytes(damaged_bytes(rng, good))
        for words in (["report", path, "--html", tmp_path / "o.html"], ["run", path]):
            result = run(*words)
            assert result.exit_code in (0, 1), (seed, words, result.stderr)
            assert result.stderr.count("\n") == result.exit_code, (seed, words, result.stderr)
            statuses[words[0], result.exit_code] += 1
    assert min(statuses.values()) > SEEDS / 6, statuses
