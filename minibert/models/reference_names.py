"""Methods that our two classes have for programs of sentence-transformers alone.

Each is short, and passes on to a method under minibert's own name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from minibert.common.arguments import older_names, type_of
from minibert.models.model import Model
from minibert.tokens.texts import check_texts, list_of

if TYPE_CHECKING:
    from minibert.models.hf_tokenizer import Tokenizer
    from minibert.models.signatures import Features, Inputs, OneInput
    from minibert.training.evaluators import Evaluator

__all__ = ["ReferenceNames"]

Self = TypeVar("Self", bound="ReferenceNames")


class ReferenceNames(Model):
    """A Model with further names of the reference's classes."""

    model_type: ClassVar[str]  # name of the class in config_sentence_transformers.json

    def cpu(self: Self) -> Self:
        """Move to the CPU. Returns itself."""
        return self.to("cpu")

    def cuda(self: Self, device: object = None) -> Self:
        """Move to a GPU: the current one, or that of a number or a name. Returns itself."""
        if device is None:
            return self.to("cuda")
        return self.to(f"cuda:{device}" if isinstance(device, int) else device)

    def train(self: Self, mode: bool = True) -> Self:
        """Do nothing, whatever the mode: results have no dropout, and training sets its own.

        Returns itself.
        """
        return self

    def compile(self, *args: object, **kwargs: object) -> None:
        """Do nothing: torch's compiler has no work here, and would change no result."""

    def evaluate(
        self, evaluator: Evaluator, output_path: str | os.PathLike[str] | None = None
    ) -> Any:  # the evaluator's own: a score, or measures by name
        """Call an evaluator of minibert.evaluation, or another, with this model.

        It writes its files into `output_path`, a folder that is made if it is missing. Raises
        TypeError for an evaluator that cannot be called.
        """
        if not callable(evaluator):
            raise TypeError(
                f"evaluator is {type_of(evaluator)}, {evaluator!r:.60}; expected one of "
                "minibert.evaluation, or a function to be called as evaluator(model, output_path)."
            )
        if output_path is not None:
            os.makedirs(output_path, exist_ok=True)
        return evaluator(self, output_path)

    def preprocess(
        self,
        inputs: OneInput | Inputs,
        prompt: str | None = None,
        *,
        task: str | None = None,
    ) -> Features:
        """Tokenise and pad n texts: input_ids, token_type_ids, attention_mask, each (n, T).

        The dict also has "modality", which is "text", and with a prompt "prompt_length", the number
        of tokens of [CLS] and the prompt. No texts give {}.
        """
        texts = check_texts(list_of(inputs, "preprocess()"))
        features: Any = self.transformer.padded(texts, prompt or "", task, self.on_long)
        return features  # type: ignore[no-any-return]

    def tokenize(
        self,
        texts: OneInput | Inputs,
        prompt: str | None = None,
        *,
        task: str | None = None,
    ) -> Features:
        """Older name of preprocess()."""
        return self.preprocess(texts, prompt, task=task)

    @property
    def processor(self) -> Tokenizer:
        """Tokenizer, under transformers' names."""
        return self.tokenizer

    @property
    def modalities(self) -> list[str]:
        """Kinds of inputs that the model reads: ["text"]."""
        return ["text"]

    def supports(self, modality: str | tuple[str, ...]) -> bool:
        """Return whether the model reads a kind of inputs: "text" alone."""
        return modality in self.modalities

    def get_backend(self) -> str:
        """Return the name of the library that computes: "numpy", also on a GPU."""
        return "numpy"

    def get_model_kwargs(self) -> list[str]:
        """Return the names of arguments that the model's own code adds to encode: none."""
        return []

    def get_max_seq_length(self) -> int:
        """Return max_seq_length."""
        return self.max_seq_length

    def save_pretrained(
        self,
        path: str | os.PathLike[str],
        model_name: str | None = None,
        create_model_card: bool = True,
        train_datasets: Sequence[str] | None = None,
        safe_serialization: bool = True,
    ) -> None:
        """Write a folder that sentence-transformers and minibert load, with the same results.

        Trained tensors are written as float32. Other weights and the vocabulary are copied as they
        are; prompts, metric or activation, maximum length, truncate_dim and include_prompt are
        written as they are now. A file of the same name is replaced when the new one is whole.

        `create_model_card` False writes no README.md. `model_name` and `train_datasets` change
        nothing: the README.md of the model's folder is copied, and that of a trained model tells
        both.

        Raises FileExistsError if files of another model would stay in the folder. Raises OSError if
        the model's own files are missing, changed or cannot be copied. Raises ValueError for
        prompts or an activation that could not be loaded again, and for safe_serialization=False.
        After an error all files are as before.
        """
        check_safe(safe_serialization)
        self._write(path, has_card=create_model_card)
        if self.is_changed:
            self.use_folder(path)

    def save(
        self,
        path: str | os.PathLike[str],
        model_name: str | None = None,
        create_model_card: bool = True,
        train_datasets: Sequence[str] | None = None,
        safe_serialization: bool = True,
    ) -> None:
        """Older name of save_pretrained()."""
        self.save_pretrained(
            path, model_name, create_model_card, train_datasets, safe_serialization
        )

    def push_to_hub(
        self,
        repo_id: str,
        token: str | None = None,
        private: bool | None = None,
        safe_serialization: bool = True,
        commit_message: str | None = None,
        local_model_path: str | None = None,
        exist_ok: bool = False,
        replace_model_card: bool = False,
        train_datasets: Sequence[str] | None = None,
        revision: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Upload the model's folder to the hub, and return the address of the commit.

        The files are those of save_pretrained, or of the folder `local_model_path`.

        Args:
            repo_id: Name of the repository, OWNER/NAME. A new one is made.
            token: Token that may write; None is HF_TOKEN, or the stored one.
            private: True makes a new repository private; None is the account's default.
            safe_serialization: Must be True: minibert writes no pickles.
            commit_message: None is "Add a SentenceTransformer", or the other class.
            local_model_path: Folder whose files are uploaded as they are.
            exist_ok: True also writes to a repository that is there.
            replace_model_card: True also replaces a README.md that is there.
            train_datasets: Changes nothing; see save_pretrained.
            revision: Branch to write to, made if it is missing; None is the main branch.
            create_pr: True opens a pull request, writes to no branch, and returns its address.

        Raises OutputError if the hub does not take the model, and the errors of save_pretrained.
        """
        from minibert.checkpoint.push import Push, push  # late: few programs need it

        how = Push(
            token=token,
            private=private,
            commit_message=commit_message or f"Add a {self.model_type}",
            exist_ok=exist_ok,
            replace_model_card=replace_model_card,
            revision=revision,
            create_pr=create_pr,
        )
        check_safe(safe_serialization)
        return push(repo_id, how, lambda path: self._write(path, has_card=True), local_model_path)

    @older_names(repo_name="repo_id")
    def save_to_hub(
        self,
        repo_id: str,
        organization: str | None = None,
        token: str | None = None,
        private: bool | None = None,
        safe_serialization: bool = True,
        commit_message: str = "Add new model.",
        local_model_path: str | None = None,
        exist_ok: bool = False,
        replace_model_card: bool = False,
        train_datasets: Sequence[str] | None = None,
    ) -> str:
        """Older name of push_to_hub(); `organization` is the OWNER of the repository.

        Raises ValueError for two different owners.
        """
        owner, _, name = repo_id.rpartition("/")
        if organization and owner not in ("", organization):
            raise ValueError(
                f"repo_id is {repo_id!r}, and organization {organization!r}; give one."
            )
        return self.push_to_hub(
            f"{organization}/{name}" if organization else repo_id,
            token=token,
            private=private,
            safe_serialization=safe_serialization,
            commit_message=commit_message,
            local_model_path=local_model_path,
            exist_ok=exist_ok,
            replace_model_card=replace_model_card,
        )

    def _write(self, path: str | os.PathLike[str], *, has_card: bool) -> None:
        """Write the model's folder, as save_pretrained tells."""
        raise NotImplementedError

    def _settings(self) -> dict[str, Any]:
        """Return the settings of the class for config_sentence_transformers.json."""
        return {
            "model_type": self.model_type,
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
        }

    @property
    def _changed_max_seq_length(self) -> int | None:
        """Maximum length, if it was changed since the model was loaded."""
        length = self.max_seq_length
        return None if length == self.transformer.loaded_max_seq_length else length

    def _first_module(self) -> Any:
        """Return the Transformer, model[0]."""
        return next(iter(self))

    def _last_module(self) -> Any:
        """Return the settings of the last module, model[-1]."""
        return list(self)[-1]


def check_safe(safe_serialization: bool) -> None:
    """Raise ValueError if pickles are asked for."""
    if not safe_serialization:
        raise ValueError(
            "safe_serialization is False; minibert writes safetensors alone. Leave it out."
        )
