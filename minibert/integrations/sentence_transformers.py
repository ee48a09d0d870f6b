"""Stand-in for sentence-transformers, under its name, for programs that import it by that name.

from minibert.integrations.sentence_transformers import install

install()
from sentence_transformers import SentenceTransformer  # minibert's own class

A framework that builds its model by name, such as LangChain's HuggingFaceEmbeddings, then builds
one of minibert. `minibert run SCRIPT` does the same for a program that must not be changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from minibert import MissingLibraryError, SentenceTransformer

__all__ = ["install"]

REFERENCE = "sentence_transformers"
VERSION = "6.2.0"  # the release whose names and results are minibert's
# New processes import the stand-in from this folder: it is on sys.path, which they are given.
FOLDER = Path(__file__).parent / "stand_in"
HERE = "minibert.integrations.sentence_transformers"

# Names of the package itself, and the module of each.
ROOT = {
    "CrossEncoder": "minibert",
    "InputExample": "minibert",
    "LoggingHandler": "minibert",
    "SentenceTransformer": "minibert",
    "SimilarityFunction": "minibert",
    "SparseEncoder": HERE,
    "mine_hard_negatives": "minibert.util",
    "quantize_embeddings": "minibert",
}
# A module below the package -> the module with its names, or its names and their modules. Both
# layouts of the reference are here: that of version 5.4 and later, and the older one.
MODULES: dict[str, str | dict[str, str]] = {
    "": ROOT,
    "base.evaluation": "minibert.evaluation",
    "base.modules": "minibert.models",
    "base": {},
    "cross_encoder": "minibert.cross_encoder",
    "cross_encoder.evaluation": "minibert.evaluation",
    "cross_encoder.model": "minibert.cross_encoder",
    "evaluation": "minibert.evaluation",
    "losses": "minibert.losses",
    "models": "minibert.models",
    "quantization": "minibert.quantization",
    "readers": {"InputExample": "minibert"},
    "sentence_transformer": {"SentenceTransformer": "minibert"},
    "sentence_transformer.evaluation": "minibert.evaluation",
    "sentence_transformer.losses": "minibert.losses",
    "sentence_transformer.model": {"SentenceTransformer": "minibert"},
    "sentence_transformer.modules": "minibert.models",
    "sentence_transformer.readers": {"InputExample": "minibert"},
    "similarity_functions": {"SimilarityFunction": "minibert"},
    "sparse_encoder": {"SparseEncoder": HERE},
    "sparse_encoder.model": {"SparseEncoder": HERE},
    "util": "minibert.util",
    "util.environment": "minibert.util",
    "util.file_io": "minibert.util",
    "util.hard_negatives": "minibert.util",
    "util.logging": "minibert.util",
    "util.misc": "minibert.util",
    "util.quantization": "minibert.quantization",
    "util.retrieval": "minibert.util",
    "util.similarity": "minibert.util",
    "util.tensor": "minibert.util",
}

# End of a name that minibert does not have -> what there is instead.
INSTEAD = {
    "Trainer": "Train with model.fit(), minibert.training.fit() or `minibert train`.",
    "TrainingArguments": "Train with model.fit(), minibert.training.fit() or `minibert train`.",
    "SparseEncoder": "Models here give dense vectors alone.",
    "ParallelSentencesDataset": "Data for training is a list of InputExample or of rows.",
    "SentencesDataset": "Data for training is a list of InputExample or of rows.",
}
OTHERS = "Leave the part of the program out that needs it."


class SparseEncoder:
    """A class without instances: frameworks import it together with SentenceTransformer."""

    def __init__(self, *_: object, **__: object) -> None:
        raise MissingLibraryError(missing("SparseEncoder"))


def install(force: bool = False) -> None:
    """Put minibert's classes and functions under the name sentence_transformers.

    From then on, all imports of this name in this process find the stand-in, and so do those in new
    processes of multiprocessing and joblib. `isinstance` holds for models made before. A second
    call changes nothing. Raises ImportError if sentence-transformers itself is imported or
    installed. With `force`, it is replaced for this process; what was imported from it stays.
    """
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    if not force and (place := installed()):
        raise ImportError(
            f"sentence-transformers itself is installed here ({place}). To take minibert in its "
            "place, call install(force=True) before all imports that need it.",
            name=REFERENCE,
        )
    for name in [name for name in sys.modules if name.split(".")[0] == REFERENCE]:
        del sys.modules[name]
    sys.meta_path.insert(0, Finder())
    if str(FOLDER) not in sys.path:
        sys.path.insert(1, str(FOLDER))  # behind the program's own folder
    # Some frameworks look for the package's name in the printed class. A pickle finds the class in
    # this module, in processes without the stand-in, too.
    SentenceTransformer.__module__ = HERE
    import_module(REFERENCE)


def installed() -> str | None:
    """Return the file of sentence-transformers itself, or None if it cannot be imported here."""
    if (module := sys.modules.get(REFERENCE)) is not None:
        return str(getattr(module, "__file__", None) or module)
    spec = find_spec(REFERENCE)
    # A folder that only has this name, such as a cache of models, has no file.
    if spec is None or spec.origin is None or Path(spec.origin).parent == FOLDER:
        return None
    return spec.origin


class StandIn(ModuleType):
    """A module whose names are those of minibert, each looked up when it is used."""

    def __getattr__(self, name: str) -> Any:
        below = self.__name__.partition(".")[2]
        if name == "__all__":
            return sorted(names_of(below))
        if (place := names_of(below).get(name)) is not None:
            return getattr(import_module(place), name)
        if has_module(inner := f"{below}.{name}".lstrip(".")):
            return import_module(f"{REFERENCE}.{inner}")
        if name.startswith("__"):  # asked for by tools, of any module
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        raise AttributeError(missing(f"{self.__name__}.{name}"))

    def __setattr__(self, name: str, value: object) -> None:
        # An import of the module sentence_transformers.SentenceTransformer would hide the class.
        below = self.__name__.partition(".")[2]
        if not (isinstance(value, StandIn) and name in names_of(below)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *names_of(self.__name__.partition(".")[2])})


def names_of(below: str) -> dict[str, str]:
    """Names of a module below the package, and the module of each."""
    place = MODULES.get(below)
    if place is None:  # a module of one class, as in the older layout
        parent, _, name = below.rpartition(".")
        return {name: names_of(parent)[name]}
    if isinstance(place, str):
        return dict.fromkeys(import_module(place).__all__, place)
    return place


def has_module(below: str) -> bool:
    """Tell if there is such a module below the package."""
    parent, _, name = below.rpartition(".")
    return below in MODULES or (parent in MODULES and name in names_of(parent))


def missing(name: str) -> str:
    """Message about a name that minibert does not have."""
    last = name.rpartition(".")[2]
    advice = next((text for end, text in INSTEAD.items() if last.endswith(end)), OTHERS)
    return (
        f"{name} is not in minibert, which stands in for sentence-transformers here. {advice} To "
        "have it, install sentence-transformers itself, and run the program without `minibert run` "
        "or install()."
    )


class Finder(MetaPathFinder, Loader):
    """Python's way from the reference's names to the stand-in: modules, and the version."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, below = fullname.partition(".")
        if package != REFERENCE:
            return None
        if not has_module(below):
            # Without a name in it: `from package import name` would drop an error about that name.
            raise ModuleNotFoundError(missing(fullname))
        return ModuleSpec(fullname, self, origin=str(FOLDER / f"{REFERENCE}.py"), is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name, "Names of minibert; see minibert.integrations.")

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = module.__spec__.origin if module.__spec__ else None
        module.__version__ = VERSION  # type: ignore[attr-defined]

    def find_distributions(
        self,
        context: DistributionFinder.Context = DistributionFinder.Context(),  # noqa: B008
    ) -> Iterable[Distribution]:
        """Return what importlib.metadata.version("sentence-transformers") reads."""
        if context.name is None:  # all are asked for: the package itself, if it is there, is one
            named = DistributionFinder.Context(name=REFERENCE, path=context.path)
            if any(True for _ in MetadataPathFinder.find_distributions(named)):
                return []
        name = (context.name or REFERENCE).replace("-", "_").lower()
        return [Described()] if name == REFERENCE else []


class Described(Distribution):
    """Name and version of the reference's distribution, without files."""

    def read_text(self, filename: str) -> str | None:
        texts = {
            "METADATA": f"Metadata-Version: 2.1\nName: sentence-transformers\nVersion: {VERSION}\n",
            "top_level.txt": f"{REFERENCE}\n",
        }
        return texts.get(filename)

    def locate_file(self, path: Any) -> Any:
        return FOLDER / path
