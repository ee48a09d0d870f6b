"""minibert demo: the example of the default model's card."""


def test_the_demo_ranks_the_two_texts_as_the_model_s_card_does(run, minilm_folder):
    result = run("demo", "-m", minilm_folder)
    assert (result.code, result.err) == (0, "")
    query, *ranked, summary = result.out.splitlines()
    assert query == "Query: How many people live in London?"
    assert [line.split(maxsplit=1) for line in ranked] == [
        ["0.8824", "Around 9 Million people live in London"],
        ["0.4583", "London is known for its financial district"],
    ]
    assert "cosine" in summary
