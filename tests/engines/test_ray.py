"""A model on a local Ray cluster, of workers with a core each."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow
import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed: sh tools/test.sh engines")

from ray.data.checkpoint import CheckpointConfig  # noqa: E402

import minibert.integrations.ray  # noqa: E402  after the skip
from minibert.integrations.ray import Encoder, embed  # noqa: E402

PAGE = Path(__file__).parent.parent.parent / "docs" / "scale.md"


@pytest.fixture(scope="module")
def cluster():
    """Room for two actors of a core each, beside the CPU for reading and writing; and a GPU, of
    which Ray is told that it is there."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        num_cpus=3, num_gpus=1, include_dashboard=False, object_store_memory=200_000_000,
        configure_logging=False, log_to_driver=False,
    )  # fmt: skip
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def computing():
    """The processes of this test's actors that have a batch in work."""
    mine, found = {os.getpid()}, set()
    # A child's number is mostly above its parent's, but numbers begin anew: so look twice.
    for _ in range(2):
        for path in Path("/proc").glob("[0-9]*"):
            try:
                name = (path / "cmdline").read_bytes()
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended
            if parent in mine:
                mine.add(int(path.name))
                if name.startswith(b"ray::MapWorker(MapBatches(Encoder)).submit"):
                    found.add(int(path.name))
    return found


@pytest.mark.parametrize("reproducible", [False, True])
def test_two_workers_make_the_vectors_of_one_process(
    cluster, minilm_folder, parquet, tmp_path, assert_same, reproducible
):
    out = tmp_path / "vectors"
    embed(
        ray.data.read_parquet(parquet),
        minilm_folder,
        concurrency=2,
        batch_size=64,
        reproducible=reproducible,
    ).write_parquet(str(out))
    table = assert_same(out, reproducible)
    # Without Ray's own types, so that everything that reads Parquet reads it.
    assert table.schema.field("vector").type == pyarrow.list_(pyarrow.float32(), 384)


def test_killed_workers_lose_no_row_and_repeat_none(
    cluster, minilm_folder, parquet, tmp_path, assert_same
):
    out = tmp_path / "vectors"
    killed, over = [], threading.Event()

    def kill_one_after_the_other():
        """Three of two: so the third is one that Ray started instead."""
        while len(killed) < 3 and not over.wait(0.01):
            there = computing() - set(killed)
            if there and len(list(out.glob("*.parquet"))) > len(killed):
                killed.append(min(there))
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill_one_after_the_other)
    killer.start()
    try:
        dataset = embed(ray.data.read_parquet(parquet), minilm_folder, concurrency=2, batch_size=16)
        dataset.write_parquet(str(out))
    finally:
        over.set()
        killer.join()
    assert len(killed) == 3
    assert_same(out)


def test_an_actor_uses_the_cores_and_device_that_ray_gives_it(
    cluster, folder, passages, monkeypatch
):
    class Telling(Encoder):
        def __call__(self, table):
            model = self.model
            told = [f"{model.device} {model.transformer.threads}"] * table.num_rows
            return super().__call__(table).append_column("told", pyarrow.array(told))

    monkeypatch.setattr(minibert.integrations.ray, "Encoder", Telling)
    for num_cpus in (1, 2):
        dataset = embed(ray.data.from_arrow(passages), folder, num_cpus=num_cpus, concurrency=1)
        assert dataset.unique("told") == [f"cpu {num_cpus}"]
    with pytest.raises(Exception, match="device 'cuda' needs CuPy"):
        embed(ray.data.from_arrow(passages), folder, num_gpus=1, concurrency=1).materialize()


def test_a_row_without_a_text_ends_the_job_and_is_named(cluster, folder):
    dataset = ray.data.from_items([{"id": "d16", "text": "a cat"}, {"id": "d17", "text": None}])
    with pytest.raises(Exception, match=r"text is None in the row \{'id': 'd17', 'text': None\}"):
        embed(dataset, folder, concurrency=1).materialize()


def test_a_model_that_is_not_there_ends_the_job(cluster, passages, tmp_path):
    with pytest.raises(Exception, match="no-such-model"):
        embed(
            ray.data.from_arrow(passages), tmp_path / "no-such-model", concurrency=1
        ).materialize()


def test_more_actors_than_there_is_room_for_are_refused(cluster, folder, passages, tmp_path):
    dataset = ray.data.from_arrow(passages)
    refused = "Beside {} for reading and writing, this cluster's 3 CPUs and 1 GPUs have room for {}"
    with pytest.raises(ValueError, match="3 actors with 1 CPUs and 0 GPUs"):
        embed(dataset, folder, concurrency=3)
    with pytest.raises(ValueError, match=refused.format(1, 1)):
        embed(dataset, folder, concurrency=(2, 3), num_cpus=2)
    with pytest.raises(ValueError, match=refused.format(1, 1)):
        embed(dataset, folder, concurrency=2, num_gpus=1)
    with pytest.raises(ValueError, match=refused.format(1, 0)):
        embed(dataset, folder, num_cpus=3)
    with pytest.raises(ValueError, match=r"num_cpus is 0\.5; expected a whole number"):
        embed(dataset, folder, num_cpus=0.5)
    # Ray filters what is done in an actor of its own.
    dataset.context.checkpoint_config = CheckpointConfig("id", str(tmp_path))
    with pytest.raises(ValueError, match=refused.format(2, 1)):
        embed(dataset, folder, concurrency=2)


def test_the_scale_page_s_program_ends_complete_after_a_kill(
    cache, minilm_folder, parquet, tmp_path, assert_same
):
    cache("sentence-transformers/all-MiniLM-L6-v2", minilm_folder)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    program, _, reader = (block.replace("/shared", str(tmp_path)) for block in blocks)
    for there, here in [
        ("ray.init()", "ray.init(num_cpus=3)"),
        ("batch_size=1024", "batch_size=16"),
        ("min_rows_per_file=100_000", "min_rows_per_file=16"),
    ]:
        assert there in program
        program = program.replace(there, here)
    (tmp_path / "program.py").write_text(program)
    done = tmp_path / "done"
    off = {"RAY_USAGE_STATS_ENABLED": "0", "HF_HUB_OFFLINE": "1"}

    def start():
        return subprocess.Popen(
            [sys.executable, "program.py"], cwd=tmp_path, env={**os.environ, **off}
        )

    with start() as killed:
        while killed.poll() is None and len(list(done.glob("*.parquet"))) < 5:
            time.sleep(0.02)
        killed.kill()
    assert killed.returncode == -signal.SIGKILL
    written = set((tmp_path / "vectors").glob("*.parquet"))
    with start() as repeated:
        assert repeated.wait(timeout=200) == 0
    kept = set((tmp_path / "vectors").glob("*.parquet")) & written
    assert len(kept) >= 5  # what was done was not done again
    assert_same(tmp_path / "vectors")
    exec(compile(reader, PAGE.name, "exec"), {})
    assert np.load(tmp_path / "vectors.npy").shape == (600, 384)
