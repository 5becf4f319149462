"""Archives whose bytes or whose metadata were changed: each works, or is refused in one line."""

from __future__ import annotations

import json
import random
import tarfile
from collections import Counter
from pathlib import Path

from dero_tvm.aot.archive import METADATA, ModelArchive
from tests.campaigns.fuzzing.hostile_values import damaged_bytes
from tests.campaigns.fuzzing.json_changes import changed

SEEDS = 60


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
