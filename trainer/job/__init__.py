"""One fine-tuning job in one process: `python -m trainer.job JOB_DIR`, in the trainer's environment."""
