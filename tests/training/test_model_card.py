"""The card of a trained model: the form of the Training section, and what an old card lends it."""

import re
from functools import partial

import numpy as np
import pytest
import yaml
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.training.losses import LOSSES, CoSENTLoss, MatryoshkaLoss
from minibert.training.model_card import BatchFacts, batches_of, model_card, training_section

SECTION = """\
## Training
The model was trained with the parameters:

**DataLoader**:

`torch.utils.data.dataloader.DataLoader` of length 7858 with parameters:
```
{'batch_size': 64, 'sampler': 'torch.utils.data.sampler.RandomSampler'}
```

**Loss**:

`a.losses.Plain`

Parameters of the fit()-Method:
```
{
    "epochs": 30,
    "evaluator": "NoneType",
    "optimizer_params": {
        "lr": 1e-05
    }
}
```
"""
FURTHER = """\
**Loss**:

`a.losses.Scaled` with parameters:
  ```
  {'scale': 20.0}
  ```
"""


class Plain:
    """A loss without parameters."""


class Scaled:
    """A loss with one."""

    def get_config_dict(self):
        return {"scale": 20.0}


Plain.__module__ = Scaled.__module__ = "a.losses"
SAMPLER = "torch.utils.data.sampler.RandomSampler"
LOADER = BatchFacts(
    "torch.utils.data.dataloader.DataLoader", 7858, {"batch_size": 64, "sampler": SAMPLER}
)
PARAMETERS = {"optimizer_params": {"lr": 1e-05}, "epochs": 30, "evaluator": "NoneType"}


@pytest.fixture
def card_after(folder, edit):
    """Write a card for a model whose folder has an older one."""

    def card(old, **settings):
        (folder / "README.md").write_text(old, "utf-8")
        edit(folder / "config.json", **settings)
        return model_card(SentenceTransformer(folder), SECTION)

    return card


def front_matter(card):
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)[1])


def test_the_section_has_the_flagship_s_form():
    assert training_section([(LOADER, Plain())], PARAMETERS) == SECTION


@pytest.mark.parametrize(
    "loss", [*LOSSES.values(), partial(MatryoshkaLoss, None, CoSENTLoss(), [4])]
)
def test_no_address_of_memory_is_in_a_section(loss):
    """Else the same call would write another card."""
    section = training_section([(LOADER, loss())], {"lr": np.float32(0.5)})
    assert "0x" not in section
    assert '"lr": "0.5"' in section


def test_every_objective_has_its_batches_and_its_loss():
    both = training_section([(LOADER, Plain()), (LOADER, Scaled())], PARAMETERS)
    assert both.count("of length 7858") == 2
    assert both.index("losses.Plain") < both.index(FURTHER)


def test_the_card_lists_all_modules_and_no_path():
    model = SentenceTransformer(GOLDEN / "modules")
    card = model_card(model, SECTION)
    assert SECTION in card
    lines = card.partition("## Full Model Architecture\n```\n")[2].splitlines()
    assert lines[0] == "SentenceTransformer("
    assert lines[1] == (
        "  (0): Transformer({'max_seq_length': 41, 'do_lower_case': False}) "
        "with Transformer model: BertModel"
    )
    assert lines[3] == (
        "  (2): Pooling({'pooling_mode': ('mean',), 'embedding_dimension': 9, "
        "'include_prompt': True})"
    )
    assert lines[-2:] == [")", "```"]
    assert [line.split("(")[1][:1] for line in lines[1:-2]] == [*"012345678"]
    assert f"a vector of\n{model.dimension} dimensions" in card
    assert str(GOLDEN) not in card


def test_license_and_base_of_the_old_card_are_kept(card_after):
    card = card_after(
        '---\nlanguage: en\nlicense: "apache-2.0"\nlicense_link: https://example.org/a\n---\n# Old',
        _name_or_path="microsoft/mpnet-base",
    )
    assert front_matter(card) == {
        "license": "apache-2.0",
        "license_link": "https://example.org/a",
        "base_model": "microsoft/mpnet-base",
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["sentence-transformers", "feature-extraction", "sentence-similarity"],
    }
    assert "# SentenceTransformer based on microsoft/mpnet-base\n" in card
    assert "# Old" not in card


@pytest.mark.parametrize(
    "old",
    [
        "# no YAML\nlicense: mit\n",
        "---\nlicense: 'mit: or: not'\n---\n",
        "---\nlicense: [mit, apache-2.0]\n---\n",
        "---\nlicense: {a: b\n---\n",
        "---\nlicense: &x mit\n---\n",
        "---\nlicense:\n  mit\n---\n",
        "---\nlicense: 🙂\n---\n",
        "---\nlicense: mit # or not\n---\n",
        "---\nlicense: mit\n",
    ],
)
def test_a_value_of_unusual_form_is_left_out(card_after, old):
    assert "license" not in front_matter(card_after(old))


@pytest.mark.parametrize("name", ["./my-model", "/home/a/model", "a/b/c", "", "a b/c", None])
def test_a_path_is_no_base_model(card_after, name):
    card = card_after("", _name_or_path=name)
    assert "base_model" not in front_matter(card)
    assert "# SentenceTransformer\n" in card


def test_facts_of_batches_are_read_from_any_iterable():
    class Loader:
        batch_size, sampler, batch_sampler = 8, Plain(), Scaled()

    assert batches_of([], 5) == ("list", 5, {"batch_size": "unknown"})
    assert batches_of(Loader(), 5).parameters == {
        "batch_size": 8,
        "sampler": "a.losses.Plain",
        "batch_sampler": "a.losses.Scaled",
    }
    assert batches_of(Scaled(), 5) == ("a.losses.Scaled", 5, {"scale": 20.0})
