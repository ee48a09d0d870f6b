"""Several processes: the same results, errors that arrive, and memory that is shared."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from golden_files import GOLDEN, even_copy
from safetensors.numpy import save_file

from minibert import CrossEncoder, DeviceError, SentenceTransformer
from minibert.bert import tensor_parallel
from minibert.kernels.cores import available_threads
from minibert.models.processes import HELD, Processes, Recipe, StoppedError, call, check, hold

pytestmark = pytest.mark.slow

TEXTS = [f"the cat sat {'and the dog ' * (n % 5)}" for n in range(43)]


@pytest.fixture(scope="module")
def model_with_prompt():
    return SentenceTransformer(GOLDEN / "gelu", on_long="ignore", prompts={"query": "the "})


@pytest.fixture(scope="module")
def pool(model_with_prompt):
    processes = model_with_prompt.start_multi_process_pool(["cpu", "cpu"])
    yield processes
    model_with_prompt.stop_multi_process_pool(processes)


@pytest.mark.parametrize("chunk_size", [None, 7, 1000])
def test_vectors_are_those_of_one_process_in_order(model_with_prompt, pool, chunk_size):
    vectors = model_with_prompt.encode(
        TEXTS, pool=pool, chunk_size=chunk_size, normalize_embeddings=True
    )
    alone = model_with_prompt.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(vectors, alone, rtol=0, atol=2e-6)


def test_every_argument_reaches_the_processes(model_with_prompt, pool):
    for arguments in (
        {"prompt_name": "query"},
        {"truncate_dim": 3},
        {"output_value": "token_embeddings"},
        {"batch_size": 2, "pack_tokens": 30},
    ):
        ours, alone = (
            model_with_prompt.encode(TEXTS, **arguments, **where) for where in ({"pool": pool}, {})
        )
        for one, other in zip(ours, alone, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    codes = model_with_prompt.encode(TEXTS, pool=pool, precision="uint8")
    alone = model_with_prompt.encode(TEXTS, precision="uint8")
    assert np.abs(codes.astype(int) - alone).max() <= 1
    features = model_with_prompt.encode(TEXTS[:3], pool=pool, output_value=None)
    assert list(features[0]) == list(model_with_prompt.encode(TEXTS[0], output_value=None))
    one = model_with_prompt.encode("the cat", pool=pool)
    assert one.shape == (20,)
    assert model_with_prompt.encode([], pool=pool).shape == (0, 20)
    assert model_with_prompt.encode_multi_process(TEXTS, pool).shape == (43, 20)


def test_a_list_of_devices_makes_processes_for_the_call(model_with_prompt):
    vectors = model_with_prompt.encode(TEXTS, device=["cpu", "cpu"])
    np.testing.assert_allclose(vectors, model_with_prompt.encode(TEXTS), rtol=0, atol=1e-5)


def test_truncation_is_reported_once_for_all_processes(pool, model_with_prompt, caplog):
    texts = ["dog " * 90, *TEXTS, "dog " * 99]
    model_with_prompt.encode(texts, pool=pool, chunk_size=5, on_long="warn")
    (message,) = caplog.messages
    assert message.startswith("2 of 45 texts were longer than 41 tokens")
    assert message.endswith("the longest had 101 tokens.")


def test_progress_counts_the_texts_of_all_processes(pool, model_with_prompt, capsys):
    model_with_prompt.encode(TEXTS, pool=pool, show_progress_bar=True)
    assert "43/43" in capsys.readouterr().err


def test_an_error_in_a_process_is_raised_and_the_pool_lives_on(model_with_prompt, pool):
    with pytest.raises(ValueError, match=r"\d texts at least are longer"):
        model_with_prompt.encode(["dog " * 99], pool=pool, on_long="error")
    assert model_with_prompt.encode(["dog"], pool=pool).shape == (1, 20)


def test_pairs_are_scored_by_several_processes():
    model = CrossEncoder(GOLDEN / "cross_encoder", on_long="ignore", activation_fn="tanh")
    pairs = [(text, "the cat") for text in TEXTS]
    with model.start_multi_process_pool(["cpu", "cpu"]) as processes:
        found = model.predict(pairs, pool=processes)
        model.stop_multi_process_pool(processes)
    np.testing.assert_allclose(found, model.predict(pairs), rtol=0, atol=1e-5)
    assert model.predict([], device=["cpu"]).shape == (0, 3)


@pytest.mark.parametrize("waits", [True, False], ids=["seen at once", "seen at work"])
def test_a_process_that_dies_is_an_error_and_not_a_wait(model_with_prompt, waits):
    with model_with_prompt.start_multi_process_pool(["cpu"]) as processes:
        (pid,) = processes.pids
        os.kill(pid, signal.SIGKILL)
        if waits:
            wait_until(lambda: processes._executor._broken)
        with pytest.raises(RuntimeError, match=r"has died.*Start a pool with fewer processes"):
            model_with_prompt.encode(TEXTS, pool=processes)
        with pytest.raises(RuntimeError, match="has been stopped; start another"):
            model_with_prompt.encode(TEXTS, pool=processes)


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(pid):
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_device_that_is_not_there_is_named_at_the_start(model_with_prompt):
    before = set(multiprocessing.active_children())
    for devices in (["cuda:99"], ["cpu", "cuda:99"], ["cuda:99", "cpu", "cpu"]):
        with pytest.raises(DeviceError, match=r"cuda:99|CuPy") as error:
            model_with_prompt.start_multi_process_pool(devices)
        assert error.value.args  # held, and still no process is left behind
        assert set(multiprocessing.active_children()) == before
    with pytest.raises(ValueError, match="list of devices is empty"):
        model_with_prompt.start_multi_process_pool([])
    with pytest.raises(ValueError, match="device is 'gpu'"):
        model_with_prompt.start_multi_process_pool(["cpu", "gpu"])
    for devices in ("cpu", 2):
        with pytest.raises(TypeError, match='expected a list, as \\["cpu", "cpu"\\]'):
            model_with_prompt.start_multi_process_pool(devices)


def test_what_is_no_pool_or_a_stopped_one_is_refused(model_with_prompt):
    with pytest.raises(TypeError, match=r"pool is an int; .* start_multi_process_pool\(\) gives"):
        model_with_prompt.encode(TEXTS, pool=3)
    processes = model_with_prompt.start_multi_process_pool(["cpu"])
    model_with_prompt.stop_multi_process_pool(processes)
    for texts in (TEXTS, []):
        with pytest.raises(RuntimeError, match="has been stopped; start another"):
            model_with_prompt.encode(texts, pool=processes)


def test_a_pool_serves_the_model_that_started_it_as_it_was(pool):
    other = SentenceTransformer(GOLDEN / "poolings", on_long="ignore")
    with pytest.raises(ValueError, match="started by another model"):
        other.encode(TEXTS, pool=pool)
    with pytest.raises(ValueError, match="started by another model"):
        CrossEncoder(GOLDEN / "cross_encoder").predict([("a", "b")], pool=pool)
    same = SentenceTransformer(GOLDEN / "gelu", on_long="ignore", truncate_dim=3)
    same.prompts["query"] = "the cat"
    found = same.encode(TEXTS, prompt_name="query", pool=pool)  # these are arguments of a call
    np.testing.assert_allclose(found, same.encode(TEXTS, prompt_name="query"), rtol=0, atol=1e-5)
    same.max_seq_length = 4
    with pytest.raises(ValueError, match="before max_seq_length or the pooling of this one chang"):
        same.encode(TEXTS, pool=pool)
    same.max_seq_length = 41
    same.encode(["a"], pool=pool)
    same.set_pooling_include_prompt(False)
    with pytest.raises(ValueError, match="before max_seq_length or the pooling of this one chang"):
        same.encode(TEXTS, pool=pool)


def refuse_tiles(*arguments):
    raise AssertionError("a second copy of the weights")


def without_tiles(make, *arguments):
    """Make a copy in a process where tiles are worth it, and must not be made."""
    tensor_parallel.has_small_products, tensor_parallel.tiled = lambda: True, refuse_tiles
    return make(*arguments)


@pytest.fixture(scope="module")
def even_pairs(tmp_path_factory):
    """A cross-encoder whose heads and feed-forward fall into two shards, as tiles must."""
    folder = even_copy("cross_encoder", tmp_path_factory.mktemp("even"))
    return CrossEncoder(folder, on_long="ignore")


@pytest.fixture(scope="module")
def even_texts(tmp_path_factory):
    return SentenceTransformer(
        even_copy("plain", tmp_path_factory.mktemp("even")), on_long="ignore"
    )


@pytest.mark.parametrize("kind", ["vectors", "features", "windows", "pairs"])
def test_a_chunk_of_a_pool_is_no_lone_query(even_texts, even_pairs, kind):
    """The first text is one chunk, and alone in it."""
    model = even_pairs if kind == "pairs" else even_texts
    recipe = model._recipe()
    recipe = Recipe(without_tiles, (recipe.make, *recipe.arguments), recipe.computes)
    with Processes(recipe, ["cpu"]) as processes:
        if kind == "pairs":
            assert model.predict([("a cat", "a dog")], pool=processes).shape == (1, 3)
            return
        text = "dog " * 60 if kind == "windows" else "a cat"
        arguments = {"features": {"output_value": None}, "windows": {"on_long": "window"}}
        assert len(model.encode([text], pool=processes, **arguments.get(kind, {}))) == 1


def test_an_activation_that_cannot_be_pickled_is_applied_here():
    model = CrossEncoder(
        GOLDEN / "cross_encoder", on_long="ignore", activation_fn=lambda logits: logits * 2
    )
    pairs = [(text, "the cat") for text in TEXTS]
    found = model.predict(pairs, device=["cpu", "cpu"])
    np.testing.assert_allclose(found, model.predict(pairs), rtol=0, atol=1e-5)


LONG_WORK = """
import sys
from minibert import SentenceTransformer

if __name__ == "__main__":
    model = SentenceTransformer({folder!r}, on_long="ignore")
    with model.start_multi_process_pool(["cpu", "cpu"]) as pool:
        print(*pool.pids, flush=True)
        try:
            # Two chunks of a hundred thousand forward passes: minutes, but a moment to send.
            model.encode(["the cat sat"] * 200_000, pool=pool, chunk_size=100_000, pack_tokens=1)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
@pytest.mark.usefixtures("heeding_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_work(tmp_path, number):
    """Ctrl-C goes to all of them, and is over in a moment; the others only to the first."""
    script = tmp_path / "script.py"
    script.write_text(LONG_WORK.format(folder=str(GOLDEN / "gelu")))
    running = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    pids = list(map(int, running.stdout.readline().split()))
    assert len(pids) == 2
    assert all(map(is_running, pids))
    time.sleep(1)  # so that they are in the middle of it
    if number == signal.SIGINT:
        os.killpg(running.pid, number)
    else:
        running.send_signal(number)
    said, _ = running.communicate(timeout=120)
    assert ("interrupted" in said) == (number == signal.SIGINT)
    wait_until(lambda: not any(map(is_running, pids)))


class Held:
    """What a process is given, in this process."""

    def __init__(self, *seen):
        self.seen = list(seen)

    def use_threads(self, threads):
        self.seen.append(threads)

    def to(self, device):
        if device == "broken":
            raise DeviceError("no such device")
        self.seen.append(device)


def work(held, chunk, more, advance):
    advance(len(chunk))
    return [*held.seen, *chunk, more]


class Places(list):
    get = list.pop


def test_a_process_holds_its_copy_and_runs_functions_of_it():
    before = signal.getsignal(signal.SIGINT)
    recipe = Recipe(Held, ("made",), ())
    barrier, stopping = threading.Barrier(1), threading.Event()
    try:
        hold(recipe, Places(["cpu"]), 3, barrier, stopping)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert check() == os.getpid()
        assert call(work, [1, 2], ("x",)) == ["made", 3, "cpu", 1, 2, "x"]
        stopping.set()
        with pytest.raises(StoppedError):
            call(work, [1, 2], ("x",))
        hold(recipe, Places(["broken"]), 3, barrier, stopping)
        with pytest.raises(DeviceError, match="no such device"):
            check()
    finally:
        signal.signal(signal.SIGINT, before)
        HELD.clear()


def test_without_devices_every_core_has_a_process(model_with_prompt):
    with model_with_prompt.start_multi_process_pool() as processes:
        assert processes.count == len(set(processes.pids)) == available_threads()


def write_bert(folder, vocab_size):
    """A random BERT of 4 layers and width 512, whose weights are 92 MB with 20,000 words."""
    shutil.copytree(GOLDEN / "gelu", folder)
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode": "mean"}')
    sizes = {
        "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8,
        "intermediate_size": 2048, "max_position_embeddings": 512, "vocab_size": vocab_size,
    }  # fmt: skip
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, **sizes}))
    random = np.random.default_rng(0)
    tensors = {}

    def add(name, *shape):
        tensors[name] = random.standard_normal(shape, dtype=np.float32) * np.float32(0.05)

    for name, rows in (("word", vocab_size), ("position", 512), ("token_type", 3)):
        add(f"embeddings.{name}_embeddings.weight", rows, 512)
    add("embeddings.LayerNorm.weight", 512)
    add("embeddings.LayerNorm.bias", 512)
    for n in range(4):
        layer = f"encoder.layer.{n}."
        shapes = {
            **{f"attention.self.{part}": (512, 512) for part in ("query", "key", "value")},
            "attention.output.dense": (512, 512), "intermediate.dense": (2048, 512),
            "output.dense": (512, 2048),
        }  # fmt: skip
        for name, (out, width) in shapes.items():
            add(f"{layer}{name}.weight", out, width)
            add(f"{layer}{name}.bias", out)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            add(f"{layer}{name}.weight", 512)
            add(f"{layer}{name}.bias", 512)
    save_file(tensors, folder / "model.safetensors")
    return folder


def laid_out_anew(model):
    """The bytes of a model's tensors that are no views on the mapped file."""
    parameters = model.checkpoint.parameters
    tensors = [value for value in parameters if isinstance(value, np.ndarray)]
    tensors += [value for layer in parameters.layers for value in layer]
    owned = 0
    for tensor in tensors:
        array = tensor
        while isinstance(array.base, np.ndarray):
            array = array.base
        owned += array.nbytes if array.base is None else 0
    return owned


def private_bytes(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) * 1024 for kb in re.findall(r"Private_\w+:\s+(\d+) kB", text))


def with_small_products(has_them, make, *arguments):
    """Make a copy in a process whose BLAS has kernels for small products, or has none."""
    tensor_parallel.has_small_products = lambda: has_them
    return make(*arguments)


def pool_with_small_products(model, has_them, devices):
    recipe = model._recipe()
    made = (has_them, recipe.make, *recipe.arguments)
    return Processes(Recipe(with_small_products, made, recipe.computes), devices)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
@pytest.mark.parametrize("has_small_products", [False, True])
def test_four_processes_share_the_mapped_weights(tmp_path, has_small_products):
    """Each owns what is laid out anew, and no more: 15.8 MB of 92; 16.4 were seen.

    With kernels for small products, a lone query would have each own its layers once more.
    """
    large = SentenceTransformer(write_bert(tmp_path / "large", 20_000))
    anew = laid_out_anew(large)
    # Queries, keys and values of 4 layers, and the table of token types and positions.
    assert anew == 4 * (4 * 512 * 512 * 3 + 4 * 512 * 3 + 3 * 512 * 512)
    size = (tmp_path / "large/model.safetensors").stat().st_size
    assert anew < size / 4
    used = {}
    for name, model in (("small", SentenceTransformer(GOLDEN / "gelu")), ("large", large)):
        with pool_with_small_products(model, has_small_products, ["cpu"] * 4) as processes:
            model.encode(["the cat"] * 40, pool=processes, chunk_size=1)  # all have read all
            used[name] = [private_bytes(pid) for pid in processes.pids]
    assert len(used["large"]) == 4
    for of_large in used["large"]:
        assert of_large - min(used["small"]) < anew + 6e6


def test_a_script_without_a_guard_ends_with_a_reason(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import minibert\n"
        f"model = minibert.SentenceTransformer({str(GOLDEN / 'gelu')!r})\n"
        "model.encode(['a'] * 9, device=['cpu', 'cpu'])\n"
    )
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode != 0
    assert "__main__" in result.stderr
