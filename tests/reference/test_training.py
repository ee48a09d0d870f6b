"""Gradients and steps of training, against sentence-transformers and torch's autograd, live."""

import json
import math

import numpy as np
import pytest
import sentence_transformers
import torch
from folders import FOLDERS
from golden_files import GOLDEN, copy_of, edit_json
from sentence_transformers.sentence_transformer import losses as theirs
from torch import nn
from transformers import get_linear_schedule_with_warmup

from minibert import SentenceTransformer
from minibert import losses as ours
from minibert.bert.dropout import Draws, Dropout, Rates
from minibert.kernels.segments import equal_buckets
from minibert.models.trainable import Trainable
from minibert.training.optimizers import AdamW, TransformersAdamW, clip_, decays
from minibert.training.schedules import warmup_linear

FAMILIES = [
    "gelu", "large_epsilon", "relu", "silu", "gelu_new", "gelu_pytorch_tanh", "old_layout",
    "distilbert", "mpnet", "albert", "electra", "roberta", "xlm_roberta", "camembert",
]  # fmt: skip
WORDS = ["the", "cat", "dog", "sat", "barks", "at", "London", "in", "end", "a", "x", "zzz"]
EXAMPLES = 6
# Differences from torch's gradient, of the largest entry of a tensor.
CLOSE = {"float64": 1e-9, "float32": 1e-4}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Models this small are slower in several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def columns_of(count, seed=3, examples=EXAMPLES):
    """Columns of texts that differ in length; one has no word, and one comes twice."""
    random = np.random.default_rng(seed)
    made = [
        [" ".join(random.choice(WORDS, random.integers(1, 14))) for _ in range(examples)]
        for _ in range(count)
    ]
    made[0][1], made[-1][2] = "", made[0][3]
    return made


def drawn(*shape):
    return np.random.default_rng(11).normal(size=shape)


# Some of the reference's losses turn labels into float32, so these are numbers that it has.
# Name -> how both are made of a module of losses and a model, columns, labels of a dimension.
LOSSES = {
    "margin mse": (lambda losses, m: losses.MarginMSELoss(m), 3, lambda d: drawn(EXAMPLES)),
    "margin mse, scores of two negatives": (
        lambda losses, m: losses.MarginMSELoss(m), 4, lambda d: drawn(EXAMPLES, 3),
    ),
    "ranking": (lambda losses, m: losses.MultipleNegativesRankingLoss(m), 3, None),
    "ranking, both ways": (
        lambda losses, m: losses.MultipleNegativesRankingLoss(
            m, scale=5.0, directions=("query_to_doc", "doc_to_query")
        ), 3, None,
    ),
    "cosine similarity": (
        lambda losses, m: losses.CosineSimilarityLoss(m), 2, lambda d: np.arange(EXAMPLES) / 8,
    ),
    "cosent": (
        lambda losses, m: losses.CoSENTLoss(m), 2, lambda d: 1 - np.arange(EXAMPLES) / 8,
    ),
    "mse": (lambda losses, m: losses.MSELoss(m), 1, lambda d: drawn(EXAMPLES, d)),
    "triplet": (lambda losses, m: losses.TripletLoss(m), 3, None),
    "contrastive": (
        lambda losses, m: losses.ContrastiveLoss(m), 2, lambda d: np.arange(EXAMPLES) % 2.0,
    ),
    "matryoshka ranking": (
        lambda losses, m: losses.MatryoshkaLoss(
            m, losses.MultipleNegativesRankingLoss(m), [20, 7, 2], [1, 0.5, 2]
        ), 3, None,
    ),
    "matryoshka margin mse": (
        lambda losses, m: losses.MatryoshkaLoss(m, losses.MarginMSELoss(m), [11, 4]),
        3, lambda d: drawn(EXAMPLES),
    ),
}  # fmt: skip


class Given(nn.Module):
    """A model whose vectors of a column are given in place of its texts."""

    def __init__(self, dimension):
        super().__init__()
        self.dimension = dimension

    def __getitem__(self, number):
        return nn.Identity()

    def get_embedding_dimension(self):
        return self.dimension

    def forward(self, features):
        return {"sentence_embedding": features["vectors"]}


class Reference:
    """sentence-transformers' model of a folder, in train mode, with dropout 0."""

    def __init__(self, folder, dtype="float64"):
        self.model = sentence_transformers.SentenceTransformer(
            str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"}
        )
        self.model = (self.model.double() if dtype == "float64" else self.model.float()).train()
        self.dropouts = [x for x in self.model.modules() if isinstance(x, nn.Dropout)]
        self.rates = [module.p for module in self.dropouts]
        for module in self.dropouts:
            module.p = 0.0
        self.dtype = dtype
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        self.folders = [module["path"] for module in modules]
        self.dimension = self.model.get_embedding_dimension()

    def key(self, name):
        """Our key of a parameter: 0.model.x is a tensor of the BERT, 3.linear.x one of 3_Dense."""
        number, _, rest = name.partition(".")
        if number == "0":
            return rest.partition(".")[2]
        return f"{self.folders[int(number)]}/{rest}"

    def parameters(self):
        return {self.key(name): tensor for name, tensor in self.model.named_parameters()}

    def vectors(self, texts):
        features = self.model.preprocess([text for column in texts for text in column])
        vectors = self.model(features)["sentence_embedding"]
        return list(vectors.split(len(texts[0])))

    def backward(self, make, texts, labels):
        """Compute the loss, and add gradients; return the loss."""
        loss = make(theirs, Given(self.dimension))
        with torch.enable_grad():
            columns = [{"vectors": vectors} for vectors in self.vectors(texts)]
            value = loss(columns, None if labels is None else torch.from_numpy(labels))
            value.backward()
        return value.item()

    def gradients(self, make, texts, labels):
        """The loss, and the gradients by our keys."""
        self.model.zero_grad()
        value = self.backward(make, texts, labels)
        found = self.parameters().items()
        return value, {key: x.grad.numpy() for key, x in found if x.grad is not None}


def newer(key):
    """The name that a tensor of the oldest layout has by now."""
    return key.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias")


# The bias of the last layer, by their number: it moves all vectors and changes no distance.
LAST_BIASES = {
    3: (
        "encoder.layer.2.output.LayerNorm.bias",
        "transformer.layer.2.output_layer_norm.bias",
        "encoder.albert_layer_groups.1.albert_layers.0.full_layer_layer_norm.bias",
    ),
    1: ("encoder.layer.0.output.LayerNorm.bias",),
}


def zeros_of(loss, layers):
    """Endings of the keys whose gradient is 0 but for rounding.

    A shift of all keys changes no softmax, and one of all vectors no distance of two of them.
    """
    of_loss = LAST_BIASES[layers] if loss == "triplet" else ()
    return ("key.bias", "k_lin.bias", "attn.k.bias", *of_loss)


def ours_of(folder, dtype="float64", **settings):
    model = SentenceTransformer(str(folder), on_long="ignore", threads=1)
    return Trainable(model, dtype=dtype, **{"dropout": False} | settings)


def compare(found, expected, zeros, dtype):
    """Hold loss and gradients against torch's; a gradient of 0 by the size of its weight's."""
    close = CLOSE[dtype]
    assert abs(found[0] - expected[0]) <= close * max(1, abs(expected[0]))
    # A stored pooler has none in both; torch's have zeros where a module's result is not used.
    assert found[1].keys() == expected[1].keys()
    for key, gradient in expected[1].items():
        assert found[1][key].dtype == dtype
        scale = key.removesuffix("bias") + "weight" if key.endswith(zeros) else key
        largest = np.abs(expected[1][scale]).max()
        difference = np.abs(found[1][key] - gradient).max()
        assert difference <= close * largest, (key, difference / largest)


def both(folder, names, dtype):
    """Compare the gradients of losses by all tensors of a model."""
    reference, model = Reference(folder, dtype), ours_of(folder, dtype)
    for name in names:
        make, count, label = LOSSES[name]
        texts = columns_of(count)
        labels = None if label is None else label(reference.dimension).astype(dtype)
        model.zero_gradients()
        value = model.add_gradients(texts, labels, make(ours, None), 0)
        found = {newer(key): gradient for key, gradient in model.gradients.items()}
        expected = reference.gradients(make, texts, labels)
        zeros = zeros_of(name, model.config.num_hidden_layers)
        compare((value, found), expected, zeros, dtype)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_loss_s_gradients_are_torch_s(name, dtype):
    both(GOLDEN / name, LOSSES, dtype)


# Folders of the reference's own making, whose modules a loss goes back through.
MODULES = [
    "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", "all poolings",
    "dense, normalize", "normalize, dense", "dense without bias", "two denses",
    "dense after two poolings", "dense Identity", "dense GELU", "dense Sigmoid", "dense SiLU",
    "dense LeakyReLU", "dense ReLU6", "dense Hardtanh", "dense with a residual",
    "dense with a projected residual", "dense on tokens", "normalized tokens",
    "layer norm, dense, dropout, normalize",
]  # fmt: skip


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("name", ["poolings", "modules"])
def test_gradients_through_golden_modules_are_torch_s(name, dtype):
    """Vectors of the second have 7 dimensions, too few for those of the Matryoshka losses."""
    fitting = [loss for loss in LOSSES if name == "poolings" or "matryoshka" not in loss]
    both(GOLDEN / name, fitting, dtype)


@pytest.mark.parametrize("name", MODULES)
def test_gradients_through_every_module_are_torch_s(name, tmp_path):
    FOLDERS[name](tmp_path / "folder")
    for dtype in CLOSE:
        both(tmp_path / "folder", ["margin mse", "ranking"], dtype)


class Masks:
    """Our factors of dropout, in the order in which torch asks for them, padded."""

    def __init__(self, reference, model, step, rates):
        self.reference, self.model = reference, model
        self.draws, self.rates = Draws(model.seed, step), rates
        self.places = iter(self.in_order())

    def in_order(self):
        """Places and layers; some families have no dropout at one of the places."""
        yield "embeddings", 0
        for layer in range(len(self.model.parameters.layers)):
            for place in ("weights", "attention", "output"):
                if place != self.rates.without:
                    yield place, layer
        for number, step in enumerate(self.model.pipeline.after):
            if step.kind == "Dropout":
                yield "module", number

    def dropout(self, x, p=0.5, training=True, inplace=False):
        """Stand in for torch.nn.functional.dropout."""
        place, layer = next(self.places)
        assert training
        assert p == {"weights": self.rates.attention, "module": 0.3}.get(place, self.rates.hidden)
        factors = np.ones(x.shape)
        for text, length in enumerate(self.lengths):
            one = 1 if place == "module" else length
            of_text = Dropout(
                self.draws, self.rates, np.array([text]), np.array([one]), dtype="float64"
            )
            if place == "weights":
                bucket = next(equal_buckets(of_text.lengths))
                factors[text, :, :length, :length] = of_text.weights(layer, x.shape[1])(bucket)[0]
            elif place == "module":
                factors[text] = of_text.rows(layer, place, x.shape[1], rate=p)
            else:
                factors[text, :length] = of_text.rows(layer, place, x.shape[2])
        return x * torch.from_numpy(factors)


@pytest.mark.parametrize(
    "name", ["gelu", "distilbert", "mpnet", "albert", "electra", "roberta", "modules"]
)
def test_gradients_with_our_dropout_masks_are_torch_s(name, tmp_path, monkeypatch):
    folder, distil = copy_of(name, tmp_path), name == "distilbert"
    keys = ("dropout", "attention_dropout") if distil else (
        "hidden_dropout_prob", "attention_probs_dropout_prob"
    )  # fmt: skip
    edit_json(folder / "config.json", **dict(zip(keys, (0.3, 0.2), strict=True)))
    model, reference = ours_of(folder, dropout=True, pack_tokens=60), Reference(folder)
    without = {"distilbert": "attention", "albert": "output"}.get(name, "")
    masks = Masks(reference, model, 5, Rates(0.3, 0.2, without))
    texts = columns_of(3)
    for module, rate in zip(reference.dropouts, reference.rates, strict=True):
        module.p = rate
    features = reference.model.preprocess([text for column in texts for text in column])
    masks.lengths = features["attention_mask"].sum(axis=1).tolist()
    make, _, label = LOSSES["margin mse"]
    value = model.add_gradients(texts, label(0), make(ours, None), 5)
    monkeypatch.setattr(torch.nn.functional, "dropout", masks.dropout)
    expected = reference.gradients(make, texts, label(0))
    assert next(masks.places, None) is None  # torch has asked for all of them
    compare((value, model.gradients), expected, zeros_of("margin mse", 3), "float64")


class Steps:
    """Twenty steps of both, with a warm-up and clipping, from one start and without dropout."""

    count, warmup = 20, 4

    def __init__(self, optimizer, dtype, lr, max_norm, folder=GOLDEN / "gelu"):
        self.reference, self.model = Reference(folder, dtype), ours_of(folder, dtype)
        self.start = {key: value.copy() for key, value in self.model.values.items()}
        self.optimizer, self.lr, self.max_norm = optimizer, lr, max_norm
        self.rates, self.norms, self.dtype = ([], []), [], dtype

    def batch(self, step):
        labels = np.random.default_rng(step).normal(size=EXAMPLES).astype(self.dtype)
        return columns_of(3, seed=100 + step), labels

    def ours(self):
        kind = {"adamw": AdamW, "adamw_hf": TransformersAdamW}[self.optimizer]
        optimizer = kind(self.model.values, weight_decay=0.01)
        for step in range(self.count):
            self.model.add_gradients(*self.batch(step), ours.MarginMSELoss(None), step)
            gradients = self.model.gradients
            self.norms.append(clip_(gradients, self.max_norm))
            lr = warmup_linear(self.lr, step, self.warmup, self.count)
            self.rates[0].append(lr)
            optimizer.step(gradients, lr)
            self.model.zero_gradients()
            self.model.refresh()

    def theirs(self):
        """In the order of sentence-transformers' fit, with its groups for weight decay."""
        named = [(n, x) for n, x in self.reference.model.named_parameters() if "pooler" not in n]
        no_decay = ("bias", "LayerNorm.bias", "LayerNorm.weight")
        groups = [
            {"params": [x for n, x in named if any(part in n for part in no_decay) is not decayed],
             "weight_decay": 0.01 * decayed}
            for decayed in (True, False)
        ]  # fmt: skip
        kind = {"adamw": torch.optim.AdamW, "adamw_hf": HuggingFaceAdamW}[self.optimizer]
        optimizer = kind(groups, lr=self.lr)
        schedule = get_linear_schedule_with_warmup(optimizer, self.warmup, self.count)
        for step in range(self.count):
            self.reference.backward(LOSSES["margin mse"][0], *self.batch(step))
            nn.utils.clip_grad_norm_([x for _, x in named], self.max_norm)
            self.rates[1].append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()

    def compared(self):
        """Of each tensor that is trained: its start, ours and theirs after the steps."""
        self.ours()
        self.theirs()
        theirs_now = {key: x.detach().numpy() for key, x in self.reference.parameters().items()}
        return {
            key: (self.start[key], value, theirs_now[key])
            for key, value in self.model.values.items()
            if "pooler" not in key and not key.endswith(zeros_of("margin mse", 3))
        }


class HuggingFaceAdamW(torch.optim.Optimizer):
    """AdamW as transformers had it up to release 4: decay after the step, eps before correcting."""

    def __init__(self, groups, lr):
        super().__init__(groups, {"lr": lr, "betas": (0.9, 0.999), "eps": 1e-6})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for x in group["params"]:
                state, (b1, b2) = self.state[x], group["betas"]
                if not state:
                    state |= {"t": 0, "m": torch.zeros_like(x), "v": torch.zeros_like(x)}
                state["t"] += 1
                state["m"].mul_(b1).add_(x.grad, alpha=1 - b1)
                state["v"].mul_(b2).addcmul_(x.grad, x.grad, value=1 - b2)
                corrected = math.sqrt(1 - b2 ** state["t"]) / (1 - b1 ** state["t"])
                below = state["v"].sqrt().add_(group["eps"])
                x.addcdiv_(state["m"], below, value=-group["lr"] * corrected)
                x.add_(x, alpha=-group["lr"] * group["weight_decay"])


@pytest.mark.parametrize("max_norm", [1.0, 1e9])
@pytest.mark.parametrize("optimizer", ["adamw", "adamw_hf"])
def test_20_steps_in_float64_give_torch_s_weights(optimizer, max_norm):
    steps = Steps(optimizer, "float64", 1e-3, max_norm)
    for key, (start, found, expected) in steps.compared().items():
        assert np.abs(expected - start).max() > 1e-4
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10, err_msg=key)
    assert steps.rates[0] == steps.rates[1]
    assert (steps.rates[0][0], max(steps.rates[0])) == (0.0, 1e-3)
    assert min(steps.norms) > 1.0  # clipping acts in the one, and not in the other
    assert max(steps.norms) < 1e9


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_hf"])
def test_20_steps_in_float32_go_torch_s_way(optimizer, texts):
    """A difference of 2 % of the way that each tensor went, and vectors that differ by 2e-4."""
    steps = Steps(optimizer, "float32", 1e-3, 1.0)
    for key, (start, found, expected) in steps.compared().items():
        way, apart = np.linalg.norm(expected - start), np.linalg.norm(found - expected)
        assert apart <= 0.02 * way, (key, apart / way)
    vectors = steps.model.model.encode(texts)
    expected = steps.reference.model.eval().encode(texts)
    assert np.abs(vectors - expected).max() <= 2e-4


def test_weight_decay_has_the_reference_s_groups():
    """That of sentence-transformers' fit for a BERT."""
    no_decay = ("bias", "LayerNorm.bias", "LayerNorm.weight")
    for key, value in ours_of(GOLDEN / "gelu").values.items():
        assert decays(key, value) is not any(part in key for part in no_decay)
