from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from bench import pulls


def names(content: bytes) -> list[str]:
    return tarfile.open(fileobj=io.BytesIO(content)).getnames()


def test_a_padded_layer_has_the_same_files_and_other_digests() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("app"))
    layer = gzip.compress(file.getvalue())
    padded = pulls.padded(layer)
    assert names(padded) == names(layer) == ["app"]
    assert pulls.digest(padded) != pulls.digest(layer)
    assert pulls.digest(gzip.decompress(padded)) != pulls.digest(file.getvalue())


@pytest.mark.parametrize(
    "said",
    [
        "4f4f: Already exists\n5b5b: Pull complete\nStatus: Downloaded newer image for flows:1",
        "Digest: sha256:1a1a\nStatus: Image is up to date for flows:1",
    ],
)
def test_a_pull_of_what_is_there_already_has_no_seconds(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "docker", lambda *_words, **_options: said)
    with pytest.raises(RuntimeError, match="The engine had layers of flows:1"):
        pulls.pull("flows:1")
