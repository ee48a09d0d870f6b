"""Train a bi-encoder with MarginMSE, as the flagship was trained.

    python train_bi-encoder_margin-mse.py --model_name sentence-transformers/all-MiniLM-L6-v2

The steps are those of the program for MS MARCO in sentence-transformers 2.1, of which the flagship
keeps a copy as train_script.py: queries with passages that do and do not answer them, scores of
both by a cross-encoder, and one triple of each query in an epoch. A program of that form needs
other imports, and no use_amp, which is for GPUs. Here a few passages stand in for MS MARCO.
"""

import argparse
import logging
import random

from minibert import InputExample, LoggingHandler, SentenceTransformer, losses, models
from minibert.training import DataLoader, Dataset

logging.basicConfig(
    format="%(asctime)s - %(message)s", level=logging.INFO, handlers=[LoggingHandler()]
)

parser = argparse.ArgumentParser()
parser.add_argument("--train_batch_size", default=2, type=int)
parser.add_argument("--max_seq_length", default=300, type=int)
parser.add_argument("--model_name", default="google-bert/bert-base-uncased")
parser.add_argument("--use_pre_trained_model", action="store_true")
parser.add_argument("--epochs", default=3, type=int)
parser.add_argument("--warmup_steps", default=2, type=int)
parser.add_argument("--lr", default=2e-5, type=float)
parser.add_argument("--output", default="output/margin-mse")
args = parser.parse_args()

if args.use_pre_trained_model:
    # Keep the pooling and the other modules of a sentence-transformers model.
    model = SentenceTransformer(args.model_name)
    model.max_seq_length = args.max_seq_length
else:
    # Put the mean of all tokens on top of a plain BERT.
    word_embedding_model = models.Transformer(args.model_name, max_seq_length=args.max_seq_length)
    pooling_model = models.Pooling(word_embedding_model.get_word_embedding_dimension())
    model = SentenceTransformer(modules=[word_embedding_model, pooling_model])

# Passage id -> text.
corpus = {
    1: "The moon pulls the sea, so the water rises and falls twice a day.",
    2: "A tide table lists the times of high water at a port.",
    3: "Bees make honey from the nectar of flowers.",
    4: "A hive has one queen and many thousand workers.",
    5: "Bread rises because yeast makes gas in the dough.",
    6: "Flour is ground from wheat, rye or maize.",
    7: "A crane lifts steel beams to the top of a building.",
    8: "Cranes are large birds with long legs, and fly south in autumn.",
}

# Query id -> its text, and the passages that do and do not answer it.
queries = {
    10: {"qid": 10, "query": "why is there ebb and flow", "pos": [1], "neg": [2, 4, 5]},
    11: {"qid": 11, "query": "how is honey made", "pos": [3], "neg": [4, 6]},
    12: {"qid": 12, "query": "what makes dough rise", "pos": [5], "neg": [6, 1, 7]},
    13: {"qid": 13, "query": "where do cranes spend the winter", "pos": [8], "neg": [7, 3]},
    14: {"qid": 14, "query": "who lives in a beehive", "pos": [4], "neg": [3, 8]},
}

# Query id -> passage id -> score of the pair by a cross-encoder.
ce_scores = {
    10: {1: 9.1, 2: 4.2, 4: -10.4, 5: -8.8},
    11: {3: 10.2, 4: 1.7, 6: -9.9},
    12: {5: 9.8, 6: 2.1, 1: -6.5, 7: -9.0},
    13: {8: 7.4, 7: -3.3, 3: -11.0},
    14: {4: 8.5, 3: 2.9, 8: -10.1},
}


class MSMARCODataset(Dataset):
    """One triple of each query, with other passages in each epoch."""

    def __init__(self, queries, corpus, ce_scores):
        self.queries = queries
        self.queries_ids = list(queries)
        self.corpus = corpus
        self.ce_scores = ce_scores
        for query in queries.values():
            random.shuffle(query["neg"])

    def __getitem__(self, item):
        query = self.queries[self.queries_ids[item]]
        # Take the first passage of each list, and put it at the end for a later epoch.
        pos_id = query["pos"].pop(0)
        query["pos"].append(pos_id)
        neg_id = query["neg"].pop(0)
        query["neg"].append(neg_id)
        scores = self.ce_scores[query["qid"]]
        return InputExample(
            texts=[query["query"], self.corpus[pos_id], self.corpus[neg_id]],
            label=scores[pos_id] - scores[neg_id],
        )

    def __len__(self):
        return len(self.queries)


train_dataset = MSMARCODataset(queries=queries, corpus=corpus, ce_scores=ce_scores)
train_dataloader = DataLoader(
    train_dataset, shuffle=True, batch_size=args.train_batch_size, drop_last=True
)
train_loss = losses.MarginMSELoss(model=model)

model.fit(
    train_objectives=[(train_dataloader, train_loss)],
    epochs=args.epochs,
    warmup_steps=args.warmup_steps,
    checkpoint_path=args.output,
    checkpoint_save_steps=4,
    optimizer_params={"lr": args.lr},
)

# Save the model of the last step.
model.save(args.output)
