"""Many photos, many recipes, one process: what is there already is not made again.

from memegen import batch
jobs = batch.plan([batch.Request(photos=("a.jpg", "b.jpg"), recipes=("smile", "wink"))])
for outcome in batch.run(jobs):
    print(outcome.state, outcome.job.out)
"""

from __future__ import annotations

from memegen.batch.engine import Engine, LocalEngine
from memegen.batch.jobs import Job, Outcome, Request, Settings, State
from memegen.batch.planning import plan
from memegen.batch.ray_pool import RayEngine
from memegen.batch.runner import run

__all__ = [
    "Engine",
    "Job",
    "LocalEngine",
    "Outcome",
    "RayEngine",
    "Request",
    "Settings",
    "State",
    "plan",
    "run",
]
