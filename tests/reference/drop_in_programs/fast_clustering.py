"""Find groups of questions that are close to each other, without a number of groups."""

import sys

from sentence_transformers import SentenceTransformer, util

model = SentenceTransformer(sys.argv[1], device="cpu")

things = ["learn Python", "lose weight", "cook rice", "sleep better", "repair a bicycle"]
forms = ["How can I {}?", "What is the best way to {}?", "Tips to {}, please", "How do you {}?"]
corpus_sentences = sorted(form.format(thing) for form in forms for thing in things)
corpus_sentences += ["Who wrote Hamlet?", "Why is the sky blue?"]

corpus_embeddings = model.encode(corpus_sentences, batch_size=8, convert_to_tensor=True)
for threshold in (0.6, 0.75):
    clusters = util.community_detection(
        corpus_embeddings, min_community_size=3, threshold=threshold, batch_size=6
    )
    print("threshold", threshold, "clusters", len(clusters))
    for number, cluster in enumerate(clusters):
        print(f"\nCluster {number + 1}, #{len(cluster)} elements")
        for sentence_id in cluster[:3]:
            print("\t", corpus_sentences[sentence_id])
        print("\t", "...")
        for sentence_id in cluster[-1:]:
            print("\t", corpus_sentences[sentence_id])
