"""The steps of `demo --train`: the same as in the demo, but the model learns, and is asked what it has not seen."""

from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

from cli.local import commands
from cli.local.following import is_number
from cli.local.story import Story, expect

BASE = "smollm2-135m-instruct"
EPOCHS = 2
LONGEST_ANSWER = 60  # tokens
QUESTIONS = ("What is a bank?", "Why do dogs bark?", "How do I paint a wall?")
SYSTEM = "You are an old sailor who answers questions. Be brief."


class Steps(Story):
    """With a validation file, whose loss shows whether more than the examples was learned."""

    dataset = commands.ROOT / "examples" / "sailor-train.jsonl"
    held_out = commands.ROOT / "examples" / "sailor-valid.jsonl"
    base_model = BASE
    suffix = "sailor"
    training_patience = 1800.0  # a machine with two busy cores
    follow_every = 1.0  # the processors are for the training
    validation: FileObject

    def upload(self) -> str:
        """upload the examples and the held-out ones, and have them checked"""
        said = super().upload()
        self.validation = self._uploaded(self.held_out)
        return f"{said}; {self.held_out.name}: {self._count(self.held_out)} held out, {self.validation.id}"

    def follow_job(self) -> str:
        """follow the job's events to its success"""
        said = super().follow_job()
        before, after = self._held_out_losses()
        expect(after < before, f"the held-out loss went from {before:.2f} to {after:.2f}")
        return f"{said}; on what it has not seen, {before:.2f} → {after:.2f}"

    def ask_both(self) -> str:
        """ask the base model and the tuned one the same questions"""
        tuned = []
        for question in QUESTIONS:
            answers = {model: self._ask(model, question) for model in (self.base_model, self.model)}
            expect(all(answers.values()), f"the answers were {answers}")
            self.screen.side_by_side(question, answers)
            tuned.append(answers[self.model] != answers[self.base_model])
        expect(any(tuned), "the tuned model gave the base's answers")
        self.screen.note(
            "A model of 135 million parameters learns how to speak from 50 examples. It does not learn facts: what it "
            "says may be wrong, as the base's may. For answers to rely on, add a base of some billion parameters."
        )
        return f"base and tuned model asked {len(QUESTIONS)} questions that are in neither file"

    def _create(self, metadata: dict[str, str] | None = None) -> FineTuningJob:
        return self.client.fine_tuning.jobs.create(
            training_file=self.file.id,
            validation_file=self.validation.id,
            model=self.base_model,
            suffix=self.suffix,
            seed=7,
            metadata=metadata,
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": EPOCHS}}},
        )

    def _ask(self, model: str, question: str) -> str:
        answer = self.client.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}],
            temperature=0,
            max_tokens=LONGEST_ANSWER,
        )
        return answer.choices[0].message.content or ""

    def _held_out_losses(self) -> tuple[float, float]:
        """Before the first step, and after the last."""
        found: dict[int, float] = {}
        for event in self.client.fine_tuning.jobs.list_events(self.job.id, limit=100):
            data = event.data if isinstance(event.data, dict) else {}
            if is_number(data.get("full_valid_loss")):
                found[int(data["step"])] = float(data["full_valid_loss"])
        expect(len(found) > 1, f"the held-out losses were {found}")
        return found[min(found)], found[max(found)]
