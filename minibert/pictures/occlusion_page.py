"""Explain a score that is no sum over pairs of tokens, on a page without a script.

The page has the loss of the score without each word. Start at occlusion_page.
"""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

from minibert.explain import occlusion
from minibert.explain.occluding import unsplit_as_dict
from minibert.pictures.explanation_page import table
from minibert.pictures.page import page
from minibert.pictures.svg import escaped, number, places, shortened
from minibert.scoring.metrics import title_of

if TYPE_CHECKING:
    from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["occlusion_page"]

BODY = Template("""\
<header>
<p class="kicker">minibert explains a score</p>
<h1>$score <small>$metric</small></h1>
<p>The score of this model is no sum over pairs of words. So each word is left out in turn, and the
model reads the rest of its text. The number beside a word is the loss of the score without it. The
losses do not sum to the score.</p>
</header>
<main>
<section aria-labelledby="texts">
<h2 id="texts">The two texts</h2>
<div class="texts">
$texts
</div>
</section>
<section aria-labelledby="ranked">
<h2 id="ranked">Losses without each word</h2>
<div class="texts">
$tables
</div>
</section>
</main>""")


def occlusion_page(
    model: SentenceTransformer, query: str, document: str, *, metric: str | None = None
) -> str:
    """Write one HTML page: the score of two texts, and its loss without each of their words.

    Raises ValueError for a metric that is not known, and for a text that is read in windows.
    """
    lost = occlusion(model, query, document, metric=metric)
    found = unsplit_as_dict(model, query, document, metric or model.similarity_fn_name)
    score = number(found["score"], places(abs(found["score"]), 4), sign=False)
    names = ("Query", "Document")
    body = BODY.substitute(
        score=score,
        metric=title_of(found["metric"]),
        texts="\n".join(
            f'<div class="text"><h3>{name}</h3><p class="words" dir="auto">'
            f"{escaped(found[name.lower()]['text'], lines=True)}</p></div>"
            for name in names
        ),
        tables="\n".join(
            table(name, [(word.text, difference) for word, difference in words])
            for name, words in zip(names, lost, strict=True)
        ),
    )
    title = f"Why {score}? {shortened(query, 60)}"
    return page(title, body, None, None, "explanation.css")
