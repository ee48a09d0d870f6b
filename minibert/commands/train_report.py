"""Page of a training run, written anew while the run goes on: `minibert train --report`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from minibert.commands.output import can_go_on, output
from minibert.errors import OutputError
from minibert.training.checkpoints import SETTINGS

if TYPE_CHECKING:
    from types import TracebackType

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
        self.begun: tuple[int, float] | None = None  # step of the first record, and when it came
        self.pace: float | None = None  # steps a minute since then
        self.is_stopped = False  # True after the run was stopped in a way that lets it go on
        self.has_failed = False  # True while the file cannot be written; a warning told so

    def __enter__(self) -> TrainingReport:
        """Write the first page. Raises OutputError if the file cannot be written.

        An existing file is replaced only if it is such a page: another may be the data.

        A run that is to go on is shown as it is; one that will be removed is not.
        """
        self.write(is_new=self.restart)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the last page, if there is a run or it was stopped; if it fails, only warn."""
        self.pace = None
        self.is_stopped = error is not None and can_go_on(error)
        if self.is_stopped or self.has_run():
            self.update()

    def has_run(self) -> bool:
        """Return whether the folder holds a run, finished or not."""
        return (self.folder / SETTINGS).exists()

    def watch(self, record: Mapping[str, object]) -> None:
        """Write the page after a record of the log, but seldom; if it fails, only warn."""
        now, step = self.clock(), record["step"]
        assert isinstance(step, int)
        if self.begun is None:
            self.begun = step, now
        if step > self.begun[0] and now > self.begun[1]:
            self.pace = 60 * (step - self.begun[0]) / (now - self.begun[1])
        wait = self.seconds / SHARE
        if "evaluation" not in record:
            wait = max(wait, PAUSE)
        if now >= self.written + wait:
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
        """Write the page of the run; if it is new, one without an earlier run in the folder."""
        from minibert.pictures.training_page import Moment, page_before_training, training_page

        begun = self.clock()
        try:
            self.check_file()
            moment = Moment(datetime.now().astimezone(), self.pace, self.is_stopped)
            if is_new or not self.has_run():
                content = page_before_training(self.model, moment)
            else:
                content = training_page(self.folder, moment)
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
