from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.images import BYTES


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    code = tmp_path / "app"
    code.mkdir()
    (code / "flow.py").write_bytes(b"x" * 100)
    (code / "link.py").hardlink_to(code / "flow.py")
    (tmp_path / "perl").write_bytes(b"x" * 10)
    command = [sys.executable, "-c", BYTES, str(tmp_path), str(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"the project": 100, "system, Python and tools": 10}
