"""What most tests need: the golden models, the real MiniLM, folders to break, and commands."""

import io
import json
import logging
import os
import shutil
import signal
import sys
from functools import partial

import cuda_on_host
import cupy_stand_in
import pytest
from command_line import Result
from corpora import three_shards
from golden_files import GOLDEN, MINILM, REMOVED, copy_of, edit_json, one_label_copy

import minibert.kernels
from minibert import SentenceTransformer
from minibert.bert import tensor_parallel
from minibert.commands import cli
from minibert.kernels.devices import find_device
from minibert.models import scheduler


class ForcedRanks:
    """Tiles and ranks for every lone pack, whatever the BLAS and however small it is; or none."""

    def __init__(self, asked):
        if asked not in ("on", "off"):
            raise pytest.UsageError(
                f"MINIBERT_TEST_TENSOR_PARALLEL is {asked!r}; expected on or off."
            )
        self.asked, self.packs = asked, 0
        tensor_parallel.has_small_products = self.has_small_products
        work = 1 if asked == "on" else 1 << 60  # multiplications
        scheduler.TensorParallel = partial(tensor_parallel.TensorParallel, min_rank_work=work)

    def has_small_products(self):
        """Asked for every short pack that comes alone."""
        self.packs += 1
        return self.asked == "on"

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.write_line(
            f"tensor parallel {self.asked}: {self.packs} short packs came alone"
        )


def pytest_configure(config):
    asked = os.environ.get("MINIBERT_TEST_TENSOR_PARALLEL")
    if asked is not None:
        config.pluginmanager.register(ForcedRanks(asked))


@pytest.fixture(scope="session", autouse=True)
def heeded_ctrl_c():
    """Ctrl-C, where tests run in the background of a shell, which lets them ignore it."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _our_log(caplog):
    """caplog holds what minibert says, and not what libraries beside it may say."""
    ours = logging.Filter("minibert")
    caplog.handler.addFilter(ours)
    yield
    caplog.handler.removeFilter(ours)


@pytest.fixture(autouse=True)
def root_logger():
    """main() sets up the log of a whole process; here other tests come after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process: run(*arguments, stdin=b"") -> code, stdout, stderr."""

    def command(*arguments, stdin=None, stream=io.BytesIO):
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream(stdin)))
        capsys.readouterr()
        try:
            code = cli.main([*map(str, arguments)])
        except SystemExit as stopped:  # argparse's way out
            code = stopped.code
        return Result(code, *capsys.readouterr())

    return command


@pytest.fixture(scope="session")
def texts():
    """The texts that the tiny golden models were shown."""
    return json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def minilm_folder():
    """The real all-MiniLM-L6-v2."""
    if not MINILM.exists():
        pytest.fail("Run `python tools/fetch_minilm.py` first; tests/ needs the real MiniLM.")
    return MINILM


@pytest.fixture(scope="session")
def minilm(minilm_folder):
    return SentenceTransformer(minilm_folder, on_long="ignore")


@pytest.fixture(scope="module")
def model():
    """The golden model that `folder` has copies of: three layers, 20 dimensions, cosine."""
    return SentenceTransformer(str(GOLDEN / "gelu"), on_long="ignore")


@pytest.fixture
def folder(tmp_path):
    """A copy of a golden model that a test may change; it does not normalise."""
    return copy_of("gelu", tmp_path)


@pytest.fixture
def old_folder(tmp_path):
    """A copy of the golden model of the oldest layout: vocab.txt, gamma and beta, `bert.`."""
    return copy_of("old_layout", tmp_path)


@pytest.fixture
def corpus_folder(tmp_path):
    """Where a test may write a corpus; there is nothing yet."""
    return tmp_path / "corpus"


@pytest.fixture
def corpus(corpus_folder, model):
    """The folder of a corpus of three shards, two documents deleted."""
    return three_shards(corpus_folder, model)


@pytest.fixture
def heeding_ctrl_c():
    """Processes that a test starts heed Ctrl-C, even if this one, in the background, does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def edit():
    """Change keys of a JSON file: edit(path, key=value); `removed` takes the key away."""
    return edit_json


@pytest.fixture
def removed():
    """The value that makes `edit` take a key away."""
    return REMOVED


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub cache of its own: add(name, folder) puts a model into it, as a download would."""
    root = tmp_path / "hub"
    root.mkdir()
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(root))

    def add(name, source):
        commit = "0123456789abcdef0123456789abcdef01234567"
        model = root / f"models--{name.replace('/', '--')}"
        snapshot = model / "snapshots" / commit
        (model / "refs").mkdir(parents=True)
        (model / "refs" / "main").write_text(commit)
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            # A hub cache holds links to blobs.
            blob = model / "blobs" / str(file.relative_to(source)).replace("/", "-")
            blob.parent.mkdir(exist_ok=True)
            shutil.copy(file, blob)
            link = snapshot / file.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
        return snapshot

    add.root = root
    return add


@pytest.fixture
def one_label(tmp_path):
    """A copy of the golden cross-encoder with the first of its three labels alone."""
    return one_label_copy(tmp_path)


@pytest.fixture
def no_network(monkeypatch):
    """Every attempt to connect, or to look a host up, fails the test that made it."""
    import socket

    def refuse(*arguments, **_):
        raise AssertionError(f"the network was used: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def install(monkeypatch):
    """Put the stand-in in CuPy's place: install(gpus=2) gives its `cupy`."""

    def put_in_place(gpus):
        if reason := cuda_on_host.why_not():
            pytest.skip(reason)
        made = cupy_stand_in.modules(gpus)
        for name, module in made.items():
            monkeypatch.setitem(sys.modules, name, module)
        return made["cupy"]

    forget_the_kernels()
    yield put_in_place
    forget_the_kernels()
    cupy_stand_in.CURRENT.number, cupy_stand_in.MEMORY.room = 0, None


@pytest.fixture
def cupy(install):
    """The stand-in, on a machine with one GPU."""
    return install(gpus=1)


@pytest.fixture
def cuda(cupy):
    """The device "cuda"."""
    return find_device("cuda")


def forget_the_kernels():
    """Make the next import of the GPU's kernels look for CuPy again."""
    for name in ("cuda", "cuda_draws", "cuda_gradients", "cuda_updates"):
        sys.modules.pop(f"minibert.kernels.{name}", None)
        vars(minibert.kernels).pop(name, None)
