"""Digests of models: equal for one model wherever it lies, others for another one."""

import shutil

import pytest
from golden_files import GOLDEN, copy_of, edit_json, spoil

from minibert import CrossEncoder, SentenceTransformer
from minibert.errors import UnsavedError

KINDS = [("modules", SentenceTransformer), ("cross_encoder", CrossEncoder)]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_copy_of_a_folder_has_the_same_fingerprint(tmp_path, name, kind):
    assert kind(copy_of(name, tmp_path)).fingerprint() == kind(GOLDEN / name).fingerprint()


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_whatever_changes_results_changes_the_fingerprint(tmp_path, name, kind):
    def of(number, change=lambda folder: None, **options):
        folder = tmp_path / str(number)
        shutil.copytree(GOLDEN / name, folder)
        change(folder)
        return kind(folder, **options).fingerprint()

    shorter = kind(GOLDEN / name)
    shorter.max_seq_length = 7
    found = [
        of(0),
        of(1, lambda folder: spoil(folder, "position_embeddings.weight", 0.5)),
        of(2, lambda folder: edit_json(folder / "config.json", hidden_act="relu")),
        of(4, prompts={"query": "q: "}),
        of(5, on_long="ignore"),
        shorter.fingerprint(),
    ]
    if kind is SentenceTransformer:
        pooling, words = "2_Pooling/config.json", "sentence_bert_config.json"
        found += [
            of(3, lambda folder: edit_json(folder / words, do_lower_case=True)),
            of(6, lambda folder: edit_json(folder / pooling, pooling_mode="max")),
            of(7, lambda folder: edit_json(folder / "6_Dropout" / "config.json", dropout=0.5)),
            of(8, truncate_dim=3),
        ]
    assert len(set(found)) == len(found)


def test_a_model_in_no_folder_has_no_fingerprint():
    model = SentenceTransformer(modules=list(SentenceTransformer(GOLDEN / "gelu")))
    with pytest.raises(UnsavedError):
        model.fingerprint()
