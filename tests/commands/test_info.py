"""minibert info: what a model is."""

import hashlib

from command_line import GELU
from golden_files import GOLDEN
from safetensors.numpy import load_file


def test_info_tells_what_a_model_is(run):
    folder = GOLDEN / "plain"  # a masked language model: its head's tensors have no use here
    path = folder / "model.safetensors"
    tensors = load_file(path)
    head = sorted(name for name in tensors if name.startswith("cls."))
    assert head
    result = run("info", folder, "--json", "--quiet")
    assert (result.code, result.err) == (0, "")
    (facts,) = result.objects
    assert facts["dimension"] == facts["hidden_size"] == 20
    assert facts["max_seq_length"] == 41
    assert facts["num_hidden_layers"] == 3
    assert facts["pooling"] == "mean"
    assert facts["metric"] == "cosine"
    assert "default" in facts["metric_reason"]
    assert facts["weights"] == ["model.safetensors"]
    assert facts["weights_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["weights_bytes"] == path.stat().st_size
    assert facts["tensors_ignored"] == head
    used = tensors.keys() - set(head)
    assert facts["parameters"] == sum(tensors[name].size for name in used)


def test_info_says_where_the_metric_comes_from(run, folder, edit):
    edit(folder / "config_sentence_transformers.json", similarity_fn_name="dot")
    (facts,) = run("info", folder, "--json").objects
    assert facts["metric"] == "dot"
    assert "config_sentence_transformers.json" in facts["metric_reason"]


def test_info_takes_the_digest_over_all_shards(run):
    (facts,) = run("info", GOLDEN / "sharded", "--json").objects
    shards = sorted((GOLDEN / "sharded").glob("*.safetensors"))
    assert facts["weights"] == [path.name for path in shards]
    assert len(shards) == 3
    content = b"".join(path.read_bytes() for path in shards)
    assert facts["weights_sha256"] == hashlib.sha256(content).hexdigest()
    assert facts["weights_bytes"] == len(content)


def test_info_as_a_table_has_the_same_names_and_facts(run):
    (facts,) = run("info", GELU, "--json").objects
    table = dict(line.split(maxsplit=1) for line in run("info", GELU).out.splitlines())
    assert list(table) == list(facts)
    for name in ("dimension", "metric", "metric_reason", "weights_sha256", "parameters"):
        assert table[name] == str(facts[name])
    assert table["tensors_ignored"] == "none"


def test_info_finds_a_cached_model_by_its_name(run, cache, monkeypatch, no_network):
    snapshot = cache("sentence-transformers/tiny", GOLDEN / "gelu")
    (facts,) = run("info", "tiny", "--json").objects
    assert facts["folder"] == str(snapshot)
    (facts,) = run("info", "tiny", "--json", "--revision", snapshot.name).objects
    assert facts["folder"] == str(snapshot)
    assert run("info", "tiny", "--offline", "--revision", "next").code == 69
    monkeypatch.delenv("SENTENCE_TRANSFORMERS_HOME")
    (facts,) = run("info", "tiny", "--json", "--cache-folder", cache.root).objects
    assert facts["folder"] == str(snapshot)
