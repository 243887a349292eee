"""Two-stage TinyBERT distillation as a Prefect flow."""

from functools import partial

from prefect import flow
from prefect.logging import get_run_logger

from flows.flow_run import outlive_slots, own_name
from flows.plan import plan_run
from pipeline.config.run import RunConfig
from pipeline.stages.graph import two_stage
from tasks.build import upkeep
from tasks.crash_accounting import crash_accounting
from tasks.ending import cancellable, report_outcome
from tasks.patience import wait_together
from tasks.stage import run_stage

outlive_slots()
wait_together()


@flow(name="two-stage-tinybert", flow_run_name=own_name, persist_result=False, validate_parameters=True)
@report_outcome
def two_stage_flow(config: RunConfig, until: str | None = None) -> str | None:
    """General distillation, then task distillation (arXiv:1909.10351, figure 1).

    Every stage is one task. What the store already has is reused, what broke is resumed.

    Args:
        config: the run.
        until: stop after this stage; it and what it needs are all that runs.

    Returns:
        The ref of the report, None if the run stops before it; in a state whose message sums the run up.
    """
    plan_run(config, until, ask_hub=True)  # refuse now what would be refused after hours
    run = two_stage(config, until=until)
    build = partial(run_stage, runtime=config.runtime)
    with crash_accounting(config.runtime.store), upkeep(config.runtime, get_run_logger()), cancellable():
        # Stage one: the pretrained teacher, imitated on the corpus
        build(run.corpus)
        build(run.pretrain)
        build(run.cut_on_corpus)
        build(run.general_distillation)
        # The teacher learns the task; its rows are augmented and labelled
        build(run.task_data)
        build(run.cut_on_task)
        build(run.teacher)
        build(run.candidates)
        build(run.augmentation)
        build(run.teacher_logits)
        # Stage two: the fine-tuned teacher, imitated on the task
        build(run.initialisation)
        for phase in run.phases:
            build(phase)
        # What came of it
        build(run.label_only)
        build(run.evaluation)
        build(run.latency)
        return build(run.report)
