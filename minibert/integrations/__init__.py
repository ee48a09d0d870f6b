"""Other libraries, one file each. These files use the public names of minibert only.

- `arrow`: a column of vectors for an Arrow table
- `ray`: the same for a Ray Dataset, on all its machines
- `spark`: the same for a Spark DataFrame, in all its tasks
- `sentence_transformers`: minibert under this name, for programs that import it by name;
  `stand_in/` has the module that new processes import
- `chroma`: an embedding function for Chroma, which a collection opens again
- `lancedb`: the same for LanceDB and its tables
- `duckdb`: vectors of texts as SQL functions
- `mteb`: a model for MTEB's benchmarks
- `langchain`: embeddings and a re-ranker for LangChain
- `llama_index`: an embedding and a re-ranker for LlamaIndex
- `haystack`: two embedders and a ranker for Haystack
- `sklearn`: a transformer for scikit-learn
- `llm`: a plugin of the command `llm`; `llm_model` has its model
- `topics`: an embedding model for BERTopic and KeyBERT
- `fastembed`: TextEmbedding as fastembed has it, which need not be there
- `asgi`: the server as an application of uvicorn, gunicorn or a function as a service
- `stored_model`: a model that a store has in its settings; no library
- `metric`: the word of a store for a model's metric; no library
"""
