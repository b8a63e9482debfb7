"""``python -m model score``: partitioned Parquet in, predictions out, by the service's own predictor and kernel."""

from __future__ import annotations

from argparse import Namespace

from model.commands.dask_options import open_cluster
from model.progress import Progress, quieten_libraries


def run(options: Namespace) -> int:
    """Answer, and say what came of it; the exit code."""
    progress = Progress()
    progress.say("importing pyarrow")
    quieten_libraries()
    from model.scoring.job import in_this_process, score

    if options.dask is None:
        scored = score(options.model_uri, options.input, options.output, in_this_process, progress)
    else:
        with open_cluster(options.dask, progress) as cluster:
            scored = score(options.model_uri, options.input, options.output, cluster.map, progress)
    progress.say("done")
    print(
        f"\n{scored.n_rows:,} instances in {scored.n_partitions:,} partition(s) of {options.input} are answered by "
        f"{scored.version} in {options.output}; {scored.n_kept:,} partition(s) were there already"
    )
    return 0
