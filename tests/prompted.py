"""A query and a document, and prompts to put before them."""

PROMPTS = {"query": "the cat ", "document": "dog: "}
QUERY, DOCUMENT = "the cats sat", "London barks, the Dog sat!"
