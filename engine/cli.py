"""`samscope`: the command line, thin; every verb calls one function of a room.

Exit codes: 0 done, 1 done with failed units or refused cases, 2 the user's mistake, 3 a bug.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.logging import RichHandler

from engine import __version__
from engine.errors import SamscopeError, no_room
from engine.stores import local_folder, place_of
from engine.study import Runtime

OK, PARTIAL, MISTAKE, BUG = 0, 1, 2, 3
INTERRUPTED = 130

app = typer.Typer(
    name="samscope",
    help="Measure promptable segmentation models on whole collections of medical images.",
    epilog="Exit codes: 0 done; 1 done, but trials failed or are pending, or cases were refused; "
    "2 a mistake in what was given; 3 a bug of samscope.",
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

recipe_app = typer.Typer(
    help="Recipes: what the files of a data set are.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
app.add_typer(recipe_app, name="recipe")

log = logging.getLogger("samscope")


def _collection(words: str) -> Any:
    return typer.Option("--collection", "-c", parser=place_of, metavar="PLACE", help=words)


Collection = Annotated[
    Any, _collection("A collection made by `samscope ingest`: a folder, or s3://bucket/prefix.")
]
MovedCollection = Annotated[Any, _collection("The run's collection, where it has moved.")]
RunDirectory = Annotated[
    Any,
    typer.Argument(
        metavar="RUN_DIR", parser=place_of, help="A run directory, or its s3://bucket/prefix."
    ),
]
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study to run.")]
Recipe = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a built-in one.")
]
RawDir = Annotated[
    Any,
    typer.Argument(
        metavar="RAW_DIR", parser=place_of, help="Folder of the raw files, or s3://bucket/prefix."
    ),
]
Actors = Annotated[
    int | None,
    typer.Option(help="Evaluators to start; default: one per GPU, else one per CPU.", min=1),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where models run; auto prefers GPUs.")
]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    # A machine that is taken back says so by SIGTERM: end as for Ctrl-C, in words and at once.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(list(sys.argv[1:] if argv is None else argv)))


def run(argv: list[str]) -> int:
    """Run one command; returns its exit code and never raises."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        code = app(args=argv, prog_name="samscope", standalone_mode=False)
    except typer.TyperException as mistake:
        text = getattr(mistake, "format_message", mistake.__str__)()
        context = getattr(mistake, "ctx", None)
        verb = context.command_path if context is not None else "samscope"
        text = text or "say which command"
        errors.print(f"[bold red]error:[/] {_escape(_plain(text))}\n  remedy: {verb} --help")
        return MISTAKE
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except SamscopeError as mistake:
        errors.print(f"[bold red]error:[/] {_escape(str(mistake))}")
        return MISTAKE
    except Exception as problem:
        if (full := no_room(problem)) is not None:
            errors.print(f"[bold red]error:[/] {_escape(str(full))}")
            return MISTAKE
        logging.getLogger("samscope").exception("internal error, please report it")
        return BUG
    if code == INTERRUPTED:  # Typer's answer to Ctrl-C, without a word
        errors.print("stopped; what was committed is kept, run the same command to go on")
        return PARTIAL
    return code if isinstance(code, int) else OK


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    _logging(logging.DEBUG if verbose else logging.INFO)
    if version:
        typer.echo(f"samscope {__version__}")
        raise typer.Exit(OK)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(OK)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("demo"),
    actors: Actors = None,
) -> int:
    """The main job on generated images: ingest, six strategies with jitter, database, report.

    Takes one to two minutes on two CPU cores. Images and models are small and generated or
    trained here: the numbers are about phantoms no training has seen, not about patients.

    Example: `samscope demo --out demo`
    """
    from engine.commands.demo import demo_command

    return demo_command(out, Runtime(actors=actors))


@app.command()
def ingest(
    recipe: Recipe,
    raw_dir: RawDir,
    out: Annotated[
        Any,
        typer.Option(
            "--out", "-o", parser=place_of, metavar="PLACE", help="The collection to add to."
        ),
    ],
    workers: Annotated[
        int | None,
        typer.Option(
            help="1: this process. More: Ray tasks, a case per task. Default: this process for up "
            "to 256 MiB of raw files, else one task per CPU.",
            min=1,
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="A running Ray, e.g. `auto`; default: a local one.")
    ] = None,
) -> int:
    """Raw files in, collection out (Zarr arrays and a Parquet catalog).

    Cases already there are left alone, new ones are added, changed ones are rebuilt with a notice.
    A refused case is a row in `exclusions`; the others go on. Stop it whenever you like: the same
    command goes on where it was.

    Example: `samscope ingest drishti_optic_disc ~/data/drishti --out collection.zarr`

    Example: `samscope ingest kits19 s3://bucket/kits19 --out s3://bucket/collection.zarr`
    """
    from engine.commands.ingest import ingest_command

    return ingest_command(recipe, raw_dir, out, workers=workers, address=address)


@app.command()
def validate(recipe: Recipe, raw_dir: RawDir) -> int:
    """Read every case of a recipe without writing anything; say which would be refused.

    Example: `samscope validate drishti_optic_disc ~/data/drishti`
    """
    from engine.commands.ingest import validate_command

    return validate_command(recipe, raw_dir)


@app.command()
def curation(
    collection: Annotated[
        Any,
        typer.Argument(metavar="COLLECTION", parser=place_of, help="Made by `samscope ingest`."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write to; default: COLLECTION-curation."),
    ] = None,
    duplicates: Annotated[
        Literal["off", "fast", "all"],
        typer.Option(help="Slices whose pixels are compared: none, 5 of each case, all."),
    ] = "fast",
    workers: Annotated[int | None, typer.Option(help="Threads; default: the CPUs.", min=1)] = None,
) -> int:
    """Write report.html and report.json: what was collected, and whether labels fit the images.

    Counts, sizes, what was left out, pictures with outlines of every data set, pictures that occur
    twice (also across data sets), and labels that look wrong.

    Example: `samscope curation collection.zarr`
    """
    from engine.commands.curation import curation_command

    return curation_command(collection, out, duplicates, workers)


@app.command()
def datasets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One data set, whole.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every recipe, not only those of COSMOS 1050K.")
    ] = False,
    format: Annotated[Literal["table", "csv", "json"], typer.Option("--format", "-f")] = "table",
) -> int:
    """List the data sets samscope has recipes for: the 53 of COSMOS 1050K, or all.

    With a name: paper, how to get the files, their layout, structures, and what is unsure.

    Example: `samscope datasets acdc`
    """
    from engine.commands.datasets import datasets_command

    return datasets_command(name, format, everything=everything)


@app.command()
def replica(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A recipe file, or a built-in one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder; default: replicas/NAME.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that have one, each in a folder of --out.")
    ] = False,
) -> int:
    """Write a miniature of a data set: phantoms, laid out and stored as its recipe says.

    For trying a recipe before the data set is there. It shows no patient.

    Example: `samscope replica acdc --out acdc_replica`
    """
    from engine.commands.replica import replica_command

    return replica_command(recipe, out, everything=everything)


@app.command()
def export(
    collection: Annotated[
        Any,
        typer.Argument(metavar="COLLECTION", parser=place_of, help="Made by `samscope ingest`."),
    ],
    to: Annotated[Literal["coco", "nnunet"], typer.Option(help="The format to write.")],
    out: Annotated[
        Any,
        typer.Option(
            "--out", "-o", parser=local_folder, metavar="FOLDER", help="A new, local folder."
        ),
    ],
    dataset: Annotated[str | None, typer.Option(help="One data set; default: all.")] = None,
) -> int:
    """Write a collection as COCO (a PNG per slice) or nnU-Net v2 (NIfTI volumes, PNG pictures).

    Masks stay exact. What the format cannot hold is said; a recipe that reads the export back
    lies beside it.

    Example: `samscope export collection.zarr --to coco --out coco`
    """
    from engine.commands.export import export_command

    return export_command(collection, to, out, dataset)


@recipe_app.command("init")
def recipe_init(
    raw_dir: Annotated[
        Any,
        typer.Argument(
            metavar="RAW_DIR", parser=local_folder, help="Local folder of the raw files."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Recipe to write; default: print it.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set; default: the folder's.")
    ] = None,
) -> int:
    """Look at a folder that has no recipe and propose one.

    Knows nnU-Net, Medical Segmentation Decathlon, COCO, LabelMe, pairs of images and masks, and npz
    with image and label. What a look cannot decide is marked `# DECIDE:`.

    Example: `samscope recipe init ~/data/mine --out mine.yaml`
    """
    from engine.commands.recipe import init_command

    return init_command(raw_dir, out, name)


@app.command()
def plan(
    study: StudyFile,
    collection: Collection,
    run_dir: Annotated[
        Any,
        typer.Option(
            "--out",
            parser=place_of,
            metavar="PLACE",
            help="Subtract what this run directory already holds.",
        ),
    ] = None,
    device: Device = "auto",
    costs: Annotated[
        Path | None, typer.Option(help="A calibration of `samscope bench --out`: says hours.")
    ] = None,
    evaluators: Annotated[
        int, typer.Option(help="With --costs: that many work side by side.", min=1)
    ] = 1,
    price: Annotated[
        float | None, typer.Option(help="With --costs: of one evaluator's hour.", min=0)
    ] = None,
) -> int:
    """What an evaluation would run, and why: units, trials, what is already there, what it takes.

    Examples: `samscope plan studies/shared_data.yaml --collection collection.zarr`;
    with `--costs costs.json --evaluators 8 --price 1.86` also hours and money.
    """
    from engine.commands.plan import Prices, plan_command

    prices = None if costs is None else Prices(costs, evaluators, price)
    return plan_command(study, collection, run_dir, device, prices)


@app.command()
def bench(
    study: StudyFile,
    collection: Collection,
    slices: Annotated[int, typer.Option(help="Slices, evenly over the study's.", min=1)] = 6,
    objects: Annotated[int, typer.Option(help="At most so many objects of each.", min=1)] = 2,
    repeats: Annotated[int, typer.Option(help="Times each is measured.", min=1)] = 3,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Also by SamPredictor, a prompt at a time, with MedPy-style distances.",
        ),
    ] = False,
    floor: Annotated[
        bool, typer.Option("--floor", help="Also the networks alone, 64 prompts at once.")
    ] = False,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where models run.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A JSON file, for `samscope plan --costs`.")
    ] = None,
) -> int:
    """What a study costs on this machine: stage by stage on some of its slices, and as a whole.

    One evaluator, one thread, without Ray. Trials of the study are really run; nothing is kept.

    Example: `samscope bench studies/shared_data.yaml -c collection.zarr --plain --floor`
    """
    from engine.commands.bench import bench_command

    return bench_command(
        study, collection, slices=slices, objects=objects, repeats=repeats,
        against=["plain"] * plain + ["floor"] * floor, device=device, save_to=out,
    )  # fmt: skip


@app.command()
def parity(
    study: StudyFile,
    collection: Collection,
    slices: Annotated[int, typer.Option(help="Slices of each modality.", min=1)] = 3,
    objects: Annotated[int, typer.Option(help="Objects of each slice.", min=1)] = 2,
    bound: Annotated[
        float | None,
        typer.Option(help="Judge by |Dice difference| of any mask alone, not by pixels.", min=0),
    ] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Of the fast path.")] = "cpu",
) -> int:
    """Compare a study's trials with segment_anything's own predictor: pixels, picks and Dice.

    Answers every prompted trial of some slices both ways, and says per model and modality how many
    pixels and selections differ, how many of them by more than rounding, and the mean difference of
    Dice with its interval over subjects. Everything and models other than SAM are not compared.
    Exit code 1 where a mask's Dice moved beyond --bound; without it, where the mean moved beyond
    the study's parity_bound; without either, where rounding does not explain what differs. In
    bfloat16 it never does: without a bound nothing is judged then.

    Example: `samscope parity studies/shared_data.yaml --collection collection.zarr --slices 8`
    """
    from engine.commands.parity import parity_command

    return parity_command(
        study, collection, slices=slices, objects=objects, bound=bound, device=device
    )


@app.command()
def evaluate(
    study: StudyFile,
    collection: Collection,
    out: Annotated[
        Any,
        typer.Option(
            "--out",
            "-o",
            parser=place_of,
            metavar="PLACE",
            help="Run directory, or s3://bucket/prefix; resumed if it exists.",
        ),
    ],
    actors: Actors = None,
    device: Device = "auto",
    address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster; default: RAY_ADDRESS, else a local Ray."),
    ] = None,
    attempts: Annotated[
        int, typer.Option(help="Tries per unit before it fails.", min=1, max=10)
    ] = 2,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run cells with failed trials again.")
    ] = False,
    patience: Annotated[
        float,
        typer.Option(help="Seconds without a sign of life after which a worker is ended.", min=1),
    ] = 3600.0,
    recycle: Annotated[
        int | None,
        typer.Option(
            help="Start a worker anew after so many units; default: when its memory has grown.",
            min=1,
        ),
    ] = None,
    lease: Annotated[
        float,
        typer.Option(
            help="Of a run in an object store: seconds without a sign of life after which another "
            "driver may take it over.",
            min=2,
        ),
    ] = 60.0,
) -> int:
    """Run a study over a collection; resumes by itself.

    Kill it at any moment and run it again: finished units are kept and the results are the same
    to the bit.

    Example: `samscope evaluate studies/shared_data.yaml --collection collection.zarr --out run`
    """
    from engine.commands.evaluate import evaluate_command

    runtime = Runtime(
        actors=actors, device=device, address=address, attempts=attempts,
        retry_failed=retry_failed, patience_s=patience, recycle_units=recycle,
        lease_s=lease,
    )  # fmt: skip
    return evaluate_command(study, collection, out, runtime)


@app.command()
def status(run_dir: RunDirectory) -> int:
    """Coverage of a run: expected, done, failed and pending trials per model and strategy.

    Example: `samscope status run`
    """
    from engine.commands.status import status_command

    return status_command(run_dir)


@app.command()
def sql(
    run_dir: RunDirectory,
    query: Annotated[str, typer.Argument(metavar="SQL", help="One SQL statement (DuckDB).")],
    format: Annotated[
        Literal["table", "csv", "json", "parquet"], typer.Option("--format", "-f")
    ] = "table",
    seconds: Annotated[float, typer.Option(help="Stop the query after this time.", min=1)] = 300,
    memory: Annotated[float, typer.Option(help="GiB the query may take.", min=0.25)] = 4,
) -> int:
    """Ask the results in SQL: one statement a call, that can read the run and nothing else.

    Example: `samscope sql run "SELECT strategy, selection, avg(dice) FROM results GROUP BY ALL"`
    """
    from engine.results.export import export
    from engine.results.sandbox import Limits, run_untrusted_sql

    limits = Limits(seconds, int(memory * 2**30), max_rows=None, max_bytes=None)
    export(run_untrusted_sql(run_dir, query, limits).table, format, sys.stdout.buffer)
    return OK


@app.command()
def ask(
    run_dir: RunDirectory,
    question: Annotated[
        str | None, typer.Argument(metavar="QUESTION", help="Without one: the list.")
    ] = None,
    format: Annotated[
        Literal["table", "csv", "json", "parquet"], typer.Option("--format", "-f")
    ] = "table",
    out: Annotated[
        Path | None, typer.Option(help="A folder for the answer, as a file; of `all`, a file each.")
    ] = None,
) -> int:
    """Answer a named question, with 95 % intervals over subjects; without one, list them.

    Example: `samscope ask run leaderboard --format csv`

    Example: `samscope ask run all --format csv --out answers`
    """
    from engine.commands.ask import ask_command

    return ask_command(run_dir, question, format, out)


@app.command()
def report(
    run_dir: RunDirectory,
    gallery: Annotated[bool, typer.Option(help="Recompute and draw example masks.")] = True,
    collection: MovedCollection = None,
) -> int:
    """Write RUN_DIR/report.html: one self-contained page.

    Example: `samscope report run`
    """
    from engine.commands.report import report_command

    return report_command(run_dir, with_gallery=gallery, collection=collection)


@app.command()
def dashboard(
    run_dir: RunDirectory,
    port: Annotated[int, typer.Option(help="0: any free one.", min=0, max=65535)] = 8050,
    host: Annotated[
        str,
        typer.Option(help="Address to listen at; another than this one lets others in."),
    ] = "127.0.0.1",
    compare: Annotated[
        Path | None, typer.Option(metavar="RUN_DIR", help="Another run, for the page Compare.")
    ] = None,
    collection: MovedCollection = None,
) -> int:
    """Show a run in the browser: figures, filters, single masks, SQL. Ends with Ctrl-C.

    Reads the newest results and changes nothing; a run that is still being evaluated may be shown.

    Example: `samscope dashboard run`
    """
    from engine.commands.dashboard import dashboard_command

    dashboard_command(run_dir, host, port, compare, collection)


@app.command()
def phantoms(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for raw/ and collection.zarr; added to.")
    ],
    split: Annotated[
        str, typer.Option(help="Part of the subjects' names and seeds: parts never share one.")
    ] = "mine",
    subjects: Annotated[int, typer.Option(help="Subjects of every family.", min=1)] = 4,
    first: Annotated[int, typer.Option(help="Number of the first subject.", min=0)] = 0,
    families: Annotated[
        str | None, typer.Option(help="Comma-separated; default: all twelve.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another world.", min=0)] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Processes; default: the CPUs.", min=1)
    ] = None,
) -> int:
    """Draw phantom subjects in the paper's 18 modalities, write raw files and ingest them.

    `samscope train` learns from such a collection; the demo shows subjects of the split `demo`.

    Example: `samscope phantoms --split train --subjects 60 --out phantoms`
    """
    from engine.commands.phantoms import phantoms_command

    names = list(dict.fromkeys(map(str.strip, families.split(",")))) if families else None
    return phantoms_command(out, split, subjects, first, names, seed, workers)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="The training to run.")],
    collection: Collection,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Training folder; resumed if it exists.")
    ],
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of a worker; default: the CPUs.", min=1)
    ] = None,
    device: Device = "auto",
    address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster; default: RAY_ADDRESS, else a local Ray."),
    ] = None,
) -> int:
    """Train a small SAM, or fine-tune the decoder of any SAM; resumes by itself.

    Leaves in the folder the best checkpoint (`NAME.safetensors`), a log and its curves. Ready
    configurations are in `studies/training/`.

    Example: `samscope train studies/training/tiny.yaml -c phantoms/collection.zarr --out tiny`
    """
    from engine.commands.train import train_command

    runtime = Runtime(actors=workers, device=device, address=address)
    return train_command(config, collection, out, runtime, threads)


@app.command()
def info(
    asked: Annotated[
        Path | None,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A checkpoint, or the name of a built-in model; without one: this installation.",
        ),
    ] = None,
) -> int:
    """What a checkpoint holds, what a built-in model is, or what this installation has.

    Example: `samscope info sam_vit_b_01ec64.pth`
    """
    from engine.commands.info import info_command

    return info_command(asked)


def _plain(text: str) -> str:
    """Typer passes on pydantic's words; these are ours."""
    text = text.replace("Value error, ", "").partition(", unable to parse")[0]
    for theirs, ours in (
        ("Input should be", "it must be"),
        ("a valid integer", "a whole number"),
        ("greater than or equal to", "at least"),
        ("less than or equal to", "at most"),
    ):
        text = text.replace(theirs, ours)
    return text


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


def _logging(level: int) -> None:
    console = Console(stderr=True)
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False, show_level=level < logging.INFO)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("ray", "matplotlib", "numba", "PIL", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
