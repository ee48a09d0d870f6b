"""minibert explain: a query and a document -> the contributions of their words to the score."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, TypeAlias

from minibert.commands.command import Command
from minibert.commands.opening import load
from minibert.commands.options import add_model, add_model_options, add_several, add_top_k
from minibert.commands.output import output, print_json
from minibert.commands.texts import read_whole, warn_of_file
from minibert.common.escapes import visible
from minibert.scoring.metrics import product_metrics

if TYPE_CHECKING:
    from minibert.explain import Difference, Explanation
    from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["COMMAND"]

# The losses of the score without each word, of "query" and of "document".
Lost: TypeAlias = "dict[str, list[Difference]]"


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    command.add_argument("query", metavar="QUERY", help="a text; - is standard input")
    add_several(
        command,
        "documents",
        "DOCUMENT",
        "a text; - is standard input, which is read if there is no DOCUMENT and no --file",
    )
    add_model(command)
    command.add_argument(
        "--file",
        "-f",
        metavar="FILE",
        help="take all of a text file, gzipped or not, as the document",
    )
    command.add_argument(
        "--metric",
        choices=product_metrics(),
        help="split the score by this metric, not the model's",
    )
    add_top_k(
        command, 10, "show the N strongest pairs of words, or words of --occlusion (default 10)"
    )
    command.add_argument(
        "--occlusion",
        action="store_true",
        help="also print, or write with --json, the loss of the score without each word; works for "
        "every model and metric, and runs the model once for each word",
    )
    command.add_argument(
        "--json", action="store_true", help="print all pairs of tokens as one JSON object"
    )
    command.add_argument(
        "--svg", metavar="FILE", help="draw all pairs as SVG; - is standard output"
    )
    command.add_argument(
        "--html", metavar="FILE", help="write an interactive page; - is standard output"
    )
    # Truncation is printed with the explanation, not logged.
    command.set_defaults(on_long="ignore")


def explain(options: argparse.Namespace) -> None:
    """minibert explain: a query and a document -> the contributions of their words to the score."""
    from minibert.explain import NoSumError
    from minibert.explain.occluding import losses_as_dict

    to_stdout = [options.json, options.svg == "-", options.html == "-"]
    if sum(to_stdout) > 1:
        raise ValueError("Only one of --json, --svg - and --html - can write to standard output.")
    query, document = texts_of(options)
    model = load(options)
    try:
        explanation = model.explain(query, document, metric=options.metric)
    except NoSumError:
        if not options.occlusion or options.svg or options.html:
            raise
        explain_no_sum(model, query, document, options)
        return
    lost = occluded(model, query, document, options.metric) if options.occlusion else {}
    if options.json:
        print_json(explanation.as_dict() | ({"occlusion": losses_as_dict(**lost)} if lost else {}))
    elif not any(to_stdout):
        show(explanation, lost, options.top_k)
    write_pictures(options, model, explanation, (query, document))


COMMAND = Command(
    explain,
    add_options,
    "Show the contribution of each pair of words to the score of a query and a document.",
    (
        'minibert explain "Who barks?" "A dog barks." -k 3',
        'minibert explain "Who barks?" --file page.txt --html why.html',
        'minibert explain "Who barks?" - --json < page.txt',
    ),
)


def explain_no_sum(
    model: SentenceTransformer, query: str, document: str, options: argparse.Namespace
) -> None:
    """Print a score that cannot be split, and its losses without each word."""
    from minibert.explain.occluding import losses_as_dict, unsplit_as_dict

    metric = options.metric or model.similarity_fn_name
    lost = occluded(model, query, document, metric)
    found = unsplit_as_dict(model, query, document, metric)
    if options.json:
        print_json(found | {"occlusion": losses_as_dict(**lost)})
        return
    print(f"{found['score']:10.4f}  {metric}, here no sum over pairs of words")
    show_lost(lost, options.top_k)
    for name in lost:
        show_truncation(name, found[name]["truncated"], len(found[name]["tokens"]))


def texts_of(options: argparse.Namespace) -> tuple[str, str]:
    """Return the query and the document; one may come from a file or standard input."""
    given = options.documents + [options.file] * (options.file is not None)
    if len(given) > 1:
        raise ValueError(f"{len(given)} documents are given; give one. Is a text not quoted?")
    is_read = options.file is not None or given in ([], ["-"])
    document = given[0] if given else "-"
    if is_read and document == options.query == "-":
        raise ValueError("Both texts come from standard input; give one of them another way.")
    for text in (options.query, *options.documents):
        if text != "-":
            warn_of_file(text)
    query = read_whole("-") if options.query == "-" else options.query
    return query, read_whole(document) if is_read else document


def show(explanation: Explanation, lost: Lost, k: int) -> None:
    """Print the score, both texts shaded, and the strongest pairs of words."""
    from minibert.pictures.terminal import STEPS, colours_of, painted, shaded

    colours = colours_of(sys.stdout, os.environ)
    amounts = explanation.between_words()
    of_words = amounts.sum()
    print(f"{explanation.score:10.4f}  {explanation.metric}, of which")
    print(f"{of_words:10.4f}  words with words")
    print(f"{explanation.score - of_words:10.4f}  special tokens, with words and each other\n")
    print("query     " + shaded(explanation.query, amounts.sum(axis=1).tolist(), colours))
    print("document  " + shaded(explanation.document, amounts.sum(axis=0).tolist(), colours))
    gave, took = painted("gave", STEPS, colours), painted("took", -STEPS, colours)
    print(f"          {gave} most to the score, {took} most from it\n")
    for pair in explanation.strongest(k):
        words = f"{visible(pair.query.text)} - {visible(pair.document.text)}"
        print(f"{pair.contribution:10.4f}  {words}")
    show_lost(lost, k)
    for name, text in (("query", explanation.query), ("document", explanation.document)):
        if all(word.is_special for word in text.words):
            print(f"\nThe {name} has no words, only special tokens.")
        show_truncation(name, text.truncated, len(text.tokens))


def show_truncation(name: str, truncated: int, read: int) -> None:
    """Print the number of tokens of a text that are no part of the score."""
    if truncated:
        print(f"\n{truncated} tokens of the {name} were truncated; {read} were read.")


def show_lost(lost: Lost, k: int) -> None:
    """Print the `k` words without which the score changes most."""
    if not lost:
        return
    print("\nWithout a word, the score loses")
    words = [(name, found) for name, differences in lost.items() for found in differences]
    words.sort(key=lambda word: -abs(word[1].difference))
    for name, found in words[:k]:
        print(f"{found.difference:10.4f}  {visible(found.word.text)} ({name})")


def occluded(model: SentenceTransformer, query: str, document: str, metric: str | None) -> Lost:
    """Compute the losses of the score without each word, of "query" and of "document"."""
    from minibert.explain import occlusion

    of_query, of_document = occlusion(model, query, document, metric=metric)
    return {"query": of_query, "document": of_document}


def write_pictures(
    options: argparse.Namespace,
    model: SentenceTransformer,
    explanation: Explanation,
    texts: tuple[str, str],
) -> None:
    """Write the files that --svg and --html name."""
    # Imported here: a score is printed without the modules of the pictures.
    if options.svg:
        from minibert.pictures.heat_map import heat_map_svg

        with output(options.svg) as file:
            file.write(heat_map_svg(explanation).encode())
    if options.html:
        from minibert.pictures.explanation_page import explanation_page

        with output(options.html) as file:
            file.write(explanation_page(model, *texts, metric=explanation.metric).encode())
