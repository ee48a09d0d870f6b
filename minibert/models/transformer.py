"""A BERT with its tokenizer on a device: texts -> packs -> hidden states -> what a head makes.

Every kind of model begins with one: `encoder.py` pools its hidden states, `cross_encoder.py` and
`masked_lm.py` put a head on them. Start at Transformer.run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from minibert.bert.either_forward import check_device, hidden_states
from minibert.bert.families import FAMILIES, most_tokens, positions_of
from minibert.bert.finite import OTHER_ORDER, FirstNotFinite
from minibert.bert.forward import Watch
from minibert.bert.load import load_checkpoint
from minibert.bert.packs import Pack, packs, split
from minibert.bert.parameters import Config
from minibert.bert.tensor_parallel import Shares
from minibert.checkpoint.modules import TransformerSettings
from minibert.common.arrays import Array, IntArray
from minibert.common.json_files import is_count
from minibert.common.safetensors_files import is_finite
from minibert.errors import DeviceError
from minibert.kernels.devices import Device, find_device, one_blas_thread, thread_count
from minibert.pooling.pooling import Reads
from minibert.tokens.load import load_tokenizer
from minibert.tokens.tokenizer import Cut, OnLong, Text, text_windows, with_prompt

if TYPE_CHECKING:
    from minibert.models.bert_model import BertModel
    from minibert.models.hf_tokenizer import Tokenizer

__all__ = ["Transformer"]

logger = logging.getLogger(__name__)

# Arrays that a head makes of a pack.
Made: TypeAlias = tuple[Array, ...]


class Head(Protocol):
    """A pack and its tokens' states (N, D) float32 -> what is wanted of them, on the device too."""

    def __call__(self, pack: Pack, hidden: Array, watch: Watch | None = None) -> Made: ...


class Transformer:
    """A BERT and its tokenizer, as a folder has them. Threads may share one."""

    def __init__(
        self,
        settings: TransformerSettings,
        device: str | None = None,
        threads: int | None = None,
        reproducible: bool = False,
        short_inputs: bool = True,
        dtype: object = None,
    ) -> None:
        """Load the weights and the words of a folder.

        `reproducible` runs every text by itself, on one thread: a BLAS may round a row in other
        ways where it has other neighbours, and so do sums over the shares of threads. short_inputs
        lets the first short text make a copy of the weights in tiles, see shares.py. `dtype` is
        that of the layers, "float32" or on a GPU "float16".

        Raises CheckpointError, DeviceError or ValueError, as SentenceTransformer does.
        """
        self.settings = settings
        self.threads = threads
        self.reproducible = reproducible
        self.device = find_device(device, dtype)
        self.dtype = self.device.dtype  # that `to` goes by
        self._most_tokens: int | None = None  # of a pack, once the device's memory has run out
        self.checkpoint = load_checkpoint(settings.path, settings.config_args)
        self.config: Config = self.checkpoint.config
        check_device(self.config, self.device.name)
        self.most_tokens = most_tokens(self.config)
        family = FAMILIES[self.config.model_type]
        self.words = load_tokenizer(
            settings,
            vocab_size=self.config.vocab_size,
            most_tokens=self.most_tokens,
            default_class=family.tokenizer,
            names_class=family.names_tokenizer,
        )
        self.has_token_types = family.has_token_types
        self.loaded_max_seq_length = self.max_seq_length  # before a program changes it
        self.short_inputs = short_inputs
        self._place(self.device)

    def _place(self, device: Device) -> None:
        """Put the weights on a device."""
        self.parameters = device.put_parameters(self.checkpoint.parameters)
        self._shares = Shares(self.parameters, self.config, self.short_inputs)

    @property
    def threads(self) -> int:
        """How many cores to use, from 1 to all that there are; None sets all."""
        return self._threads

    @threads.setter
    def threads(self, threads: int | None) -> None:
        self._threads = thread_count(threads)

    @property
    def max_seq_length(self) -> int:
        """The most tokens of a text, special ones among them; the rest is cut."""
        return self.words.max_length

    @max_seq_length.setter
    def max_seq_length(self, length: int) -> None:
        if not is_count(length):
            raise ValueError(f"max_seq_length is {length!r}; expected a whole number from 1 up.")
        if length > self.most_tokens:
            raise ValueError(
                f"max_seq_length is {length}; this model has {self.most_tokens} positions."
            )
        self.words.max_length = int(length)

    def limit(self, task: str | None = None) -> int | None:
        """The most tokens of a text: a folder may set it for queries and documents; None cuts none.

        `task` is "query", "document" or None.
        """
        if not self.settings.truncation:
            return None
        of_task = {"query": self.settings.query_length, "document": self.settings.document_length}
        return self.settings.max_length or of_task.get(task or "") or self.max_seq_length

    def to(self, device: str, dtype: str | None = None) -> None:
        """Move to a device: "cpu", "cuda", or "cuda:" and a number; in the same dtype, or another.

        Where that fails, all stays as it was.
        """
        found = find_device(device, dtype or self.dtype)
        check_device(self.config, found.name)
        self._place(found)
        self.device, self.dtype, self._most_tokens = found, found.dtype, None

    def run(
        self,
        texts: Sequence[Text],
        head: Head,
        *,
        limit: int | None,
        cuts: list[Cut],
        prompt: str = "",
        pack_tokens: int | None = None,
        batch_size: int | None = None,
        on_long: OnLong = "warn",
        left_out: list[int] | None = None,
        reads: Reads | None = None,
        many: bool = False,
    ) -> Iterator[tuple[Pack, Made]]:
        """Run texts through the model: pack by pack, with what `head` made of it, on the host.

        `prompt` goes before each text. `cuts` gets what was cut off, for a report at the end. Given
        `left_out`, texts above the limit are not run, but their numbers are put there. Given
        `reads`, the head gets the states of these tokens alone, as if each text had just one.
        `many` says that these are some texts of a corpus: then a lone pack is treated like others,
        and so is one of fewer texts than the call has.

        Raises ValueError for texts longer than the positions, and for on_long="error".
        """
        for window in text_windows(texts, len(prompt)):
            rows = self.words.rows(with_prompt(prompt, texts[window]), limit)
            if on_long == "error":
                rows.cut.report(len(texts), limit, on_long)
            cuts.append(rows.cut)
            chosen = np.arange(len(rows.ids))
            if left_out is not None:
                long = np.array(rows.is_cut)
                left_out += (window.start + np.flatnonzero(long)).tolist()
                chosen = np.flatnonzero(~long)
            ids = [rows.ids[index] for index in chosen]
            types = None if rows.types is None else [rows.types[index] for index in chosen]
            some = many or len(ids) < len(texts)
            for pack, made in self.run_rows(ids, types, head, pack_tokens, batch_size, reads, some):
                yield pack._replace(order=window.start + chosen[pack.order]), made

    def run_rows(
        self,
        ids: list[IntArray],
        types: list[IntArray] | None,
        head: Head,
        pack_tokens: int | None = None,
        batch_size: int | None = None,
        reads: Reads | None = None,
        many: bool = False,
    ) -> Iterator[tuple[Pack, Made]]:
        """Run rows of tokens through the model, several packs at a time.

        `pack_tokens` bounds the tokens of one; None is what suits the device. `many` says that
        other rows of the same corpus come in other calls: a last pack of a few words is then
        computed like the others, and makes no tiles.

        Raises CheckpointError for results that hold NaN or infinity, naming what made them so.
        """
        for pack, made in self._run_rows(ids, types, head, pack_tokens, batch_size, reads, many):
            self._check_finite(pack, made, head, reads)
            yield pack, made

    def _check_finite(self, pack: Pack, made: Made, head: Head, reads: Reads | None) -> None:
        """Raise CheckpointError for NaN or infinity, which a second look finds the cause of.

        A head may give infinity for texts of which its pooling is left nothing: it shows no rows of
        these.
        """
        if all(map(is_finite, made)):
            return
        first, kernels = FirstNotFinite(self.device.take), self.device.kernels
        with self.device.active(), np.errstate(over="ignore", invalid="ignore"):
            here = self.device.put_pack(pack)
            chosen = None if reads is None else reads(pack.lengths)
            hidden = hidden_states(
                here, self.parameters, self.config, kernels, watch=first, chosen=chosen
            )
            if chosen is not None:
                here = here._replace(lengths=np.ones_like(pack.lengths))
            again = head(here, hidden, first)
            if all(is_finite(self.device.take(array)) for array in again):
                first.step = OTHER_ORDER
        if first.step:
            raise first.error(self.settings.path, self.dtype)

    def _run_rows(
        self,
        ids: list[IntArray],
        types: list[IntArray] | None,
        head: Head,
        pack_tokens: int | None,
        batch_size: int | None,
        reads: Reads | None,
        many: bool,
    ) -> Iterator[tuple[Pack, Made]]:
        """What run_rows gives, unchecked."""
        types = types if self.has_token_types else None
        self._check_rows(ids, types)
        most = 1 if self.reproducible else batch_size
        pack_tokens = pack_tokens or self.device.pack_tokens
        if self.device.name != "cpu":
            yield from self._run_ahead(ids, types, head, pack_tokens, most, reads)
            return
        work = self._packs(ids, types, pack_tokens, most)
        if len(work) <= 1 or self.threads == 1:
            with one_blas_thread():
                for pack in work:
                    yield pack, self._forward(pack, head, reads, alone=len(work) == 1 and not many)
            return
        # Many packs share the cores better as one thread a pack (5 to 20 %), and their results do
        # not depend on how many threads there are.
        from concurrent.futures import ThreadPoolExecutor

        with one_blas_thread(), ThreadPoolExecutor(self.threads) as workers:
            try:
                made = workers.map(lambda pack: self._forward(pack, head, reads), work)
                yield from zip(work, made, strict=True)
            finally:  # after an error or Ctrl-C, begin no more of them
                workers.shutdown(wait=True, cancel_futures=True)

    def watched(self, ids: IntArray, types: IntArray | None, head: Head, watch: Watch) -> Made:
        """Run one row of tokens in this thread and show every step: what `head` makes of it.

        All arrays are the device's; those that `watch` gets the next step may overwrite.
        """
        of_one = [types] if types is not None and self.has_token_types else None
        self._check_rows([ids], of_one)
        (pack,) = self._packs([ids], of_one, len(ids), None)
        with one_blas_thread():
            with self.device.active(), np.errstate(over="ignore", invalid="ignore"):
                here = self.device.put_pack(pack)
                kernels = self.device.kernels
                hidden = hidden_states(here, self.parameters, self.config, kernels, watch=watch)
                made = head(here, hidden)
            self._check_finite(pack, tuple(map(self.device.take, made)), head, None)
            return made

    def _run_ahead(
        self,
        ids: list[IntArray],
        types: list[IntArray] | None,
        head: Head,
        pack_tokens: int,
        most: int | None,
        reads: Reads | None,
    ) -> Iterator[tuple[Pack, Made]]:
        """Run packs on a GPU, each given to it before the results of the one before are waited for.

        Where its memory runs out, the rest goes on in packs of half as many tokens, and so does
        every later call. Raises DeviceError where one text alone is too much.
        """
        work = self._packs(ids, types, pack_tokens, most)[::-1]
        before: tuple[Pack, list[Callable[[], Array]]] | None = None
        while work:
            pack = work.pop()
            texts, limit = len(pack.lengths), self._most_tokens or pack_tokens
            if len(pack.ids) > limit and texts > 1:
                work += reversed(list(split(pack, limit)))
                continue
            begun = self._begin(pack, head, reads)
            if before:
                yield before[0], tuple(finish() for finish in before[1])
            before = None if begun is None else (pack, begun)
            if begun is None:
                self._most_tokens = self._fewer_tokens(pack)
                work.append(pack)
        if before:
            yield before[0], tuple(finish() for finish in before[1])

    def _begin(
        self, pack: Pack, head: Head, reads: Reads | None
    ) -> list[Callable[[], Array]] | None:
        """Give a GPU a pack and what is to be brought from it; None where its memory runs out."""
        try:
            return [self.device.begin_to_take(made) for made in self._forward(pack, head, reads)]
        except self.device.out_of_memory:
            return None  # not tried again here: the error holds on to arrays that are in the way

    def _fewer_tokens(self, pack: Pack) -> int:
        """Half the tokens of a pack that was too large, and a word about it."""
        tokens, texts = len(pack.ids), len(pack.lengths)
        if texts == 1:
            raise DeviceError(
                f"device {self.device.name!r}: one text of {tokens} tokens is more than the GPU's "
                "memory has room for. Set a smaller max_seq_length, or use 'cpu'."
            )
        logger.warning(
            "The memory of %s has no room for %d tokens at a time; going on with pack_tokens=%d.",
            self.device.name, tokens, tokens // 2,
        )  # fmt: skip
        return tokens // 2

    def _packs(
        self, ids: list[IntArray], types: list[IntArray] | None, pack_tokens: int, most: int | None
    ) -> list[Pack]:
        """Rows of tokens in packs, with the positions that the model's family gives them."""
        positions = [positions_of(row, self.config) for row in ids]
        return list(packs(ids, pack_tokens, most, positions=positions, token_types=types))

    def _check_rows(self, ids: list[IntArray], types: list[IntArray] | None) -> None:
        """Raise ValueError for a row with no token or too many, and for what has no embedding."""
        longest = max(map(len, ids), default=0)
        if min(map(len, ids), default=1) == 0:
            raise ValueError(
                "A text has no token: it is blank, and this folder's tokenizer adds none."
            )
        if longest > self.most_tokens:
            raise ValueError(
                f"A text has {longest} tokens, and this model has {self.most_tokens} positions; "
                f"the limit on its length ({self.limit()}) cuts no such text. Set max_seq_length."
            )
        largest = max((int(row.max()) for row in ids), default=0)
        if largest >= self.config.vocab_size:
            raise ValueError(
                f"A text holds {self.words.backend.id_to_token(largest)!r}, the token {largest}; "
                f"this model has {self.config.vocab_size} word embeddings."
            )
        if types is not None and self.config.type_vocab_size < 2:
            raise ValueError(
                "This model has one token type, so it cannot tell a pair's texts apart."
            )

    def _forward(self, pack: Pack, head: Head, reads: Reads | None, alone: bool = False) -> Made:
        """What a head makes of one pack, which may be all that there is to compute."""
        chosen = None if reads is None else reads(pack.lengths)
        with self.device.active(), np.errstate(over="ignore", invalid="ignore"):
            hidden = self._hidden_states(self.device.put_pack(pack), chosen, alone)
            if chosen is not None:
                pack = pack._replace(lengths=np.ones_like(pack.lengths))
            return head(pack, hidden)

    def _hidden_states(self, pack: Pack, chosen: IntArray | None, alone: bool) -> Array:
        """The states of a pack, (N, D), or of the chosen tokens, (S, D)."""
        kernels = self.device.kernels
        if self.device.name != "cpu":
            return hidden_states(pack, self.parameters, self.config, kernels, chosen=chosen)
        # Whatever changes rounding must not depend on what else there is to compute.
        threads = self.threads if alone and not self.reproducible else 1
        short = alone or self.reproducible
        return self._shares.hidden_states(pack, kernels, chosen, threads, short)

    # What programs written for sentence-transformers ask the first module for.

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer under transformers' names."""
        from minibert.models.hf_tokenizer import Tokenizer

        return Tokenizer(self.words)

    @property
    def auto_model(self) -> BertModel:
        """The BERT under transformers' names."""
        from minibert.models.bert_model import BertModel

        return BertModel(
            self.config,
            self.checkpoint.parameters,
            self.device.name,
            self.device.dtype,
            self.checkpoint.settings,
        )

    @property
    def do_lower_case(self) -> bool:
        """Whether sentence-transformers' own setting lower-cases texts before all else."""
        return self.settings.do_lower_case

    def get_embedding_dimension(self) -> int:
        """The width of a token's state, D."""
        return self.config.hidden_size

    get_word_embedding_dimension = get_embedding_dimension

    def __repr__(self) -> str:
        return f"Transformer({self.settings.path}, max_seq_length={self.max_seq_length})"
