"""Page of a training run, written anew while the run goes on: `minibert train --report`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from minibert.commands.output import output
from minibert.errors import OutputError
from minibert.training.checkpoints import SETTINGS

__all__ = ["TrainingReport"]

logger = logging.getLogger(__name__)

PAUSE = 2.0  # seconds at least between two pages
SHARE = 0.01  # of the run's time that pages may take


class TrainingReport:
    """File of a page, which is written before the run, now and then in it, and after it.

    After an evaluation it is written at once; but pages never take more than a hundredth of the
    time of a run.
    """

    def __init__(
        self,
        file: str,
        folder: str,
        model: str,
        *,
        restart: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the file of the page, the run's folder, and the name of its model.

        With `restart`, an earlier run in the folder will be removed. `clock` tells seconds.

        Raises ValueError for a file in the folder, which is for the run alone.
        """
        if file == "-":
            raise ValueError("--report is written again and again; give the name of a file.")
        if Path(file).resolve().is_relative_to(Path(folder).resolve()):
            raise ValueError(
                f"--report {file} lies in the folder of the run, which has no other files. Choose "
                "a place outside of it."
            )
        self.file = file
        self.folder = Path(folder)
        self.model = model
        self.restart = restart
        self.clock = clock
        self.written = 0.0  # when the last page was written, by the clock
        self.seconds = 0.0  # that it took
        self.has_failed = False  # True while the file cannot be written; a warning told so

    def __enter__(self) -> TrainingReport:
        """Write the first page. Raises OutputError if the file cannot be written.

        An existing file is replaced only if it is such a page: another may be the data.

        A run that is to go on is shown as it is; one that will be removed is not.
        """
        self.write(is_new=self.restart or not (self.folder / SETTINGS).exists())
        return self

    def __exit__(self, *_: object) -> None:
        """Write the last page, if there is a run; if it fails, only warn."""
        if (self.folder / SETTINGS).exists():
            self.update()

    def watch(self, record: Mapping[str, object]) -> None:
        """Write the page after a record of the log, but seldom; if it fails, only warn."""
        wait = self.seconds / SHARE
        if "evaluation" not in record:
            wait = max(wait, PAUSE)
        if self.clock() >= self.written + wait:
            self.update()

    def update(self) -> None:
        """Write the page of the run as it is now; if it fails, only warn."""
        try:
            self.write()
        except Exception as error:  # whatever it is, the run is worth more than its page
            if not self.has_failed:
                logger.warning("The report %s was not written: %s", self.file, error)
            self.has_failed = True
        else:
            self.has_failed = False

    def write(self, is_new: bool = False) -> None:
        """Write the page of the run; if it is new, one that has no settings yet."""
        from minibert.pictures.training_page import page_before_training, training_page

        begun = self.clock()
        try:
            self.check_file()
            content = page_before_training(self.model) if is_new else training_page(self.folder)
            with output(self.file) as file:
                file.write(content.encode())
        finally:
            self.written = self.clock()
            self.seconds = self.written - begun

    def check_file(self) -> None:
        """Raise OutputError for a file that a page must not replace."""
        from minibert.pictures.training_page import is_training_page

        try:
            is_free = not Path(self.file).is_file() or is_training_page(self.file)
        except OSError as error:
            raise OutputError(f"cannot read {self.file!r}: {error.strerror}") from error
        if not is_free:
            raise OutputError(
                f"--report {self.file} exists and is no page of a training, so it stays as it is. "
                "Give the name of a new file, or of such a page."
            )
