"""Find topics among texts and learn to tell them apart, with scikit-learn over the vectors."""

import copy
import pickle
import sys

import numpy as np
from joblib import Parallel, delayed
from sentence_transformers import SentenceTransformer, util
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

TOPICS = {
    "food": ["bread", "cheese", "a bowl of soup", "rice with beans", "an apple pie", "fried fish"],
    "sky": ["a star", "the moon", "a planet", "a telescope", "a comet", "the milky way"],
    "sea": ["a ship", "a harbour", "a whale", "waves", "a lighthouse", "a sailor"],
}
texts = [f"This is about {thing}." for things in TOPICS.values() for thing in things]
labels = [topic for topic, things in TOPICS.items() for _ in things]


class Embedder(TransformerMixin, BaseEstimator):
    """Texts -> vectors, as a step of a pipeline."""

    def __init__(self, model, prompt=""):
        self.model = model
        self.prompt = prompt

    def fit(self, x, y=None):
        return self

    def transform(self, x):
        return self.model.encode(list(x), prompt=self.prompt)


def main():
    model = SentenceTransformer(sys.argv[1], device="cpu")
    vectors = model.encode(texts, normalize_embeddings=True)

    found = KMeans(3, random_state=0, n_init=10).fit_predict(vectors)
    print("kmeans", found.tolist())
    merged = AgglomerativeClustering(None, distance_threshold=1.5).fit_predict(vectors)
    print("merged", merged.tolist())
    communities = util.community_detection(vectors, min_community_size=2, threshold=0.45)
    print("communities", sorted(map(sorted, communities)))
    pairs = util.paraphrase_mining(model, texts, top_k=3)[:5]
    print("pairs", [(f"{score:.3f}", i, j) for score, i, j in pairs])

    pipeline = make_pipeline(clone(Embedder(model)), LogisticRegression())
    search = GridSearchCV(
        pipeline, {"embedder__prompt": ["", "a topic: "], "logisticregression__C": [1, 10]}, cv=3,
        n_jobs=2,
    )  # fmt: skip
    search.fit(texts, labels)
    print("best", search.best_params_, f"{search.best_score_:.3f}")
    print(
        "guess", search.predict(["a bowl of rice", "a fishing boat", "a distant galaxy"]).tolist()
    )

    again = pickle.loads(pickle.dumps(model))
    parts = Parallel(n_jobs=2)(
        delayed(part.encode)(texts[start : start + 9])
        for part, start in ((again, 0), (copy.deepcopy(model), 9))
    )
    print("parallel", bool(np.allclose(np.concatenate(parts), model.encode(texts), atol=1e-5)))


if __name__ == "__main__":
    main()
