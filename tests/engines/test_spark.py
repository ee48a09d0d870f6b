"""A model in a local Spark session, of two tasks with a core each."""

import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("pyspark", reason="Spark is not installed: sh tools/test.sh engines")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java, and there is no java here", allow_module_level=True)

from pyspark.sql import SparkSession

from minibert.integrations.spark import embed, encoder_of
from minibert.kernels.cores import available_threads

PAGE = Path(__file__).parent.parent.parent / "docs" / "scale.md"


@pytest.fixture
def session(monkeypatch, tmp_path):
    """Starts a session, with variables of the environment for its Python workers."""
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    sessions = []

    def start(cores=2, of_a_task=1, **environment):
        settings = {
            "spark.task.cpus": of_a_task,
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": 4,
            "spark.sql.execution.arrow.maxRecordsPerBatch": 64,
            "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
            **{f"spark.executorEnv.{name}": value for name, value in environment.items()},
        }
        builder = SparkSession.builder.master(f"local[{cores}]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        sessions.append(builder.getOrCreate())
        return sessions[-1]

    yield start
    for one in sessions:
        one.stop()


@pytest.mark.parametrize("reproducible", [False, True])
def test_a_frame_gets_the_vectors_of_one_process(
    session, minilm_folder, parquet, tmp_path, assert_same, reproducible
):
    frame = session().read.parquet(parquet).repartition(4)
    out = str(tmp_path / "vectors")
    embed(frame, minilm_folder, reproducible=reproducible).write.parquet(out)
    assert_same(out, reproducible)


def test_a_task_computes_on_the_cores_that_spark_gives_it(session, parquet, folder):
    frame = SimpleNamespace(  # which hands out what its tasks are to call
        sparkSession=SimpleNamespace(conf={"spark.task.cpus": "5"}),
        schema=SimpleNamespace(fields=[]),
        mapInArrow=lambda function, schema: function,
    )
    assert embed(frame, folder).args[1]["threads"] == 5
    # More than there are is no error in a worker.
    cores = available_threads() + 1
    assert embed(session(cores, of_a_task=cores).read.parquet(parquet), folder).collect()


def test_a_row_without_a_text_ends_the_job_and_is_named(session, folder):
    frame = session().createDataFrame([("d16", "a cat"), ("d17", None)], "id string, text string")
    with pytest.raises(Exception, match=r"text is None in the row \{'id': 'd17', 'text': None\}"):
        embed(frame, folder).collect()


def test_columns_and_precision_are_those_asked_for(session, folder):
    frame = session().createDataFrame([("d16", "a cat")], "id string, body string")
    found = embed(frame, folder, column="body", into="bits", precision="binary")
    ((id, body, bits),) = found.collect()
    assert (found.columns, id, body, len(bits)) == (["id", "body", "bits"], "d16", "a cat", 3)
    assert found.schema["bits"].dataType.simpleString() == "array<tinyint>"
    with pytest.raises(ValueError, match="'float16'; expected one of 'float32', 'binary'"):
        embed(frame, folder, precision="float16")


def test_a_python_worker_has_one_model_until_its_options_change(folder):
    first = encoder_of(str(folder), {"threads": 1, "prompts": {"document": "a "}})
    assert encoder_of(str(folder), {"threads": 1, "prompts": {"document": "a "}}) is first
    second = encoder_of(str(folder), {"threads": 1, "prompts": {"document": "who "}})
    assert second.model.prompts["document"] == "who "


def test_the_program_of_the_scale_page_runs(
    session, cache, minilm_folder, parquet, tmp_path, assert_same
):
    cache("sentence-transformers/all-MiniLM-L6-v2", minilm_folder)
    page = PAGE.read_text(encoding="utf-8").replace("/shared", str(tmp_path))
    program = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[1]
    spark = session(SENTENCE_TRANSFORMERS_HOME=str(cache.root))
    exec(compile(program, PAGE.name, "exec"), {"spark": spark})
    assert_same(tmp_path / "vectors")
