"""What is to be done: which images, under which result names, and what is known about them already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from batch import Task
from cli.image_files import ImageFile, name_results, same_file_key
from cli.output_folder import remove_partial_files
from cli.run_info import earlier_settings_hash
from errors import OutputError
from findings import find_spots, flagged_otherwise
from output_names import DETAILS_FOLDER, RESULTS_FILE, RUN_FILE, TABLE_ENDING
from records_file import ResultsFile
from settings import OpticsDirt


def go_on(folder: Path, images: Sequence[Path], settings_sha256: str) -> tuple[ResultsFile, Plan]:
    """The results that OUTPUT holds, none where it is new, and the plan that goes on from there.

    Raises :class:`OutputError` as :class:`Plan` does.
    """
    remove_partial_files(folder)
    results = ResultsFile(folder / RESULTS_FILE)
    return results, Plan(results, images, settings_sha256, earlier_sha256=earlier_settings_hash(folder / RUN_FILE))


class Plan:
    """The images of a batch in OUTPUT, as they become known; each keeps its result name.

    Raises :class:`OutputError` when ``results`` holds results of other images that were made with other settings
    (``earlier_sha256`` is the settings hash of records that do not say).
    """

    def __init__(
        self, results: ResultsFile, images: Sequence[Path], settings_sha256: str, *, earlier_sha256: str | None = None
    ) -> None:
        self._results, self._settings_sha256 = results, settings_sha256
        self._details = results.path.parent / DETAILS_FOLDER
        self._images: dict[Path, ImageFile] = {}
        given = {same_file_key(path): path for path in images}
        self._kept_names: dict[Path, str] = {}
        stale = []
        for entry in results:
            same_settings = (entry.settings_sha256 or earlier_sha256) == settings_sha256
            path = given.get(same_file_key(entry.image_path))
            if path is None and not same_settings:
                raise OutputError(
                    f"The results in {results.path.parent} were made with other settings and cannot be mixed with new"
                    " ones.",
                    "Repeat the earlier options, use --overwrite, or choose another -o.",
                )
            if path is not None and entry.settings_sha256 != settings_sha256:
                stale.append(path)
            if path is None or entry.result_name:
                self._kept_names[path or Path(entry.image_path)] = entry.result_name
        if stale:  # they are inspected again; until then they are in no report, whatever ends this run
            results.forget(stale)
            results.tidy()

    def tasks(self, paths: Sequence[Path]) -> list[Task]:
        """Tasks for these images, new ones and known ones, in their order."""
        new = [path for path in paths if path not in self._images]
        if new:
            self._kept_names |= {path: image.stem for path, image in self._images.items()}
            everything = [*self._images, *new]
            self._images = {image.path: image for image in name_results(everything, kept=self._kept_names)}
        return [Task(self._images[path], self._known_sha256(path)) for path in paths]

    def second_look(self, dirt: OpticsDirt) -> list[Task]:
        """Tasks for the images with marks that the whole batch has shown to lie on the optics, or not to.

        None when such marks are counted. A second look changes no mark, so that the next one would find the same spots.
        """
        if dirt.count:
            return []
        spots = find_spots(self._results.records(), dirt)
        changed = flagged_otherwise(self._results.records(), spots, dirt)
        wanted = {same_file_key(record.image_path) for record in changed}
        images = self._images.items() if wanted else ()
        return [Task(image, optics=spots) for path, image in images if same_file_key(path) in wanted and path.exists()]

    def _known_sha256(self, path: Path) -> str:
        entry = self._results.get(path)
        if entry is None or not _is_written(self._details / f"{entry.result_name}{TABLE_ENDING}"):
            return ""
        return entry.content_sha256


def _is_written(path: Path) -> bool:
    """Whether a file is there and not empty: somebody may have cleared up, or the power may have failed."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
