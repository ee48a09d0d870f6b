"""tools/gpu_check.py, on the stand-in for a GPU: what it finds, and what it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from golden_files import GOLDEN

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def gpu_check(monkeypatch):
    """The tool, imported as it is when it runs."""
    if not TOOLS.exists():
        pytest.skip("tools/ is not beside these tests")
    monkeypatch.syspath_prepend(str(TOOLS))
    import gpu_check

    return gpu_check


@pytest.mark.slow
def test_it_finds_parity_and_writes_two_reports(install, gpu_check, tmp_path, capsys):
    install(gpus=1)
    arguments = ["--model", str(GOLDEN / "gelu"), "--report", str(tmp_path / "r")]
    assert gpu_check.main([*arguments, "--work", "parity", "--documents", "5"]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["cuda"] == "12.8"
    assert {row["dtype"] for row in report["kernels"]} == {"float32", "float16"}
    golden = {row["what"] for row in report["vectors"] if row["what"].startswith("golden")}
    assert len(golden) == 19
    assert all(row["differs by"] > 0 for row in report["vectors"] + report["training"])
    trained = [row["what"] for row in report["training"]]
    assert len(trained) == 2 * 9
    assert {"golden mpnet, gradients", "gelu, vectors after a step"} <= set(trained)
    drawn = [row["differs by"] for row in report["kernels"] if "dropout of" in row["what"]]
    assert drawn == [0, 0]
    page = (tmp_path / "r.md").read_text()
    assert page.strip() == capsys.readouterr().out.strip()
    assert "| golden silu | float16 |" in page
    assert "too far" not in page


@pytest.mark.slow
def test_a_kernel_that_is_wrong_is_named_and_code_1(install, gpu_check, tmp_path, monkeypatch):
    install(gpus=1)
    from minibert.kernels import cuda, cuda_gradients

    monkeypatch.setattr(cuda, "gelu_", cuda.gelu_tanh_)
    monkeypatch.setattr(cuda_gradients, "relu_gradient_", cuda_gradients.gelu_gradient_)
    monkeypatch.setattr(gpu_check, "golden_vectors", lambda: [])
    arguments = ["--model", str(GOLDEN / "relu"), "--report", str(tmp_path / "r")]
    assert gpu_check.main([*arguments, "--work", "parity", "--documents", "5"]) == 1
    report = json.loads((tmp_path / "r.json").read_text())
    rows = [row for row in report["kernels"] if row["dtype"] == "float32"]
    wrong = {row["what"] for row in rows if not row["ok"]}
    assert wrong == {"gelu", "gelu_python", "gradient of relu"}
    assert "**too far**" in (tmp_path / "r.md").read_text()


@pytest.mark.slow
def test_speed_leaves_out_who_is_not_there_and_says_why(install, gpu_check, tmp_path, monkeypatch):
    install(gpus=1)
    for name in ("torch", "sentence_transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(gpu_check, "read_texts", lambda *_: ["the cat", "sat on the mat"])
    arguments = ["--model", str(GOLDEN / "gelu"), "--report", str(tmp_path / "r")]
    assert gpu_check.main([*arguments, "--work", "speed", "--rounds", "3"]) == 0
    speed = json.loads((tmp_path / "r.json").read_text())["speed"]
    assert speed["tokens"] > 6
    assert {name: len(seconds) for name, seconds in speed["seconds"].items()} == {
        "minibert, float32": 3,
        "minibert, float16": 3,
    }
    assert len(speed["left out"]) == 4
    page = (tmp_path / "r.md").read_text()
    assert "| minibert, float16 |" in page
    assert "Left out: sentence-transformers (sdpa), float32 (ModuleNotFoundError" in page


@pytest.mark.slow
def test_the_speed_of_training_is_that_of_steps(install, gpu_check, tmp_path, monkeypatch):
    install(gpus=1)
    monkeypatch.setitem(sys.modules, "torch", None)
    batches = [[["the cat", "a dog"], ["sat", "at the end"]], []]
    monkeypatch.setattr(gpu_check.bench_train, "batches_of", lambda *_: batches)
    arguments = ["--model", str(GOLDEN / "poolings"), "--report", str(tmp_path / "r")]
    arguments += ["--work", "train", "--rounds", "2"]
    assert gpu_check.main(arguments) == 0
    speed = json.loads((tmp_path / "r.json").read_text())["train"]
    assert [len(seconds) for seconds in speed["seconds"].values()] == [2]
    assert speed["what"] == "Training: 2 pairs in 1 steps"
    page = (tmp_path / "r.md").read_text()
    assert "| minibert, float32 |" in page
    assert "Left out: sentence-transformers, float32 (ModuleNotFoundError" in page


def test_without_a_gpu_the_code_is_69_and_a_line_says_so(gpu_check, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.chdir(tmp_path)
    assert gpu_check.main([]) == 69
    assert "needs CuPy" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_says_how_to_run_it(gpu_check):
    program = [sys.executable, TOOLS / "gpu_check.py", "--help"]
    result = subprocess.run(program, capture_output=True, text=True, check=True)
    assert "--dataset DIR" in result.stdout
    assert "69 without a GPU" in result.stdout
