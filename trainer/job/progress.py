"""What a job tells at each step, and when it saves, validates and stops."""

from typing import Any

from transformers import TrainerCallback

from trainer.job.failures import refuse_what_went_astray

_REWARDS = ("margins", "accuracies", "chosen", "rejected")


class Progress(TrainerCallback):
    """Decides in place of Trainer's own strategies, which are off: they know neither a pause nor a whole epoch."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.leaving = False  # stopped within an epoch

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tells this step's checkpoint and validation if the process of before was killed until it could. Until here
        a signal ends the process at once; from here on there are steps to finish."""
        engine = self.engine
        engine.tell_saved(state.global_step)
        due = engine.eval_dataset is not None and engine.checkpoints.is_epoch_end(state.global_step)
        if due and state.global_step not in engine.lines.steps_of("valid"):
            engine.evaluate()
        engine.stopping.take_over()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        state.log_history.clear()  # it is part of each checkpoint, and grows with each step
        if "loss" not in logs:
            return
        refuse_what_went_astray(state.global_step, self.engine.job.learning_rate, logs["loss"], logs["grad_norm"])
        line = {"train_loss": logs["loss"], "learning_rate": logs["learning_rate"], "grad_norm": logs["grad_norm"]}
        if "mean_token_accuracy" in logs:
            line["train_mean_token_accuracy"] = logs["mean_token_accuracy"]
        line |= {f"rewards_{name}": logs[f"rewards/{name}"] for name in _REWARDS if f"rewards/{name}" in logs}
        self.engine.lines.write("step", step=state.global_step, **line)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        engine = self.engine
        wish = engine.stopping.agreed()
        if wish:
            self.leaving = control.should_training_stop = True
            control.should_save = wish == "paused"
        else:
            between = not engine.checkpoints.is_epoch_end(state.global_step)
            control.should_save = between and state.global_step % engine.job.save_every == 0

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Trainer comes here for an epoch that was broken off, too."""
        control.should_save = not self.leaving
        control.should_evaluate = not self.leaving and self.engine.eval_dataset is not None
