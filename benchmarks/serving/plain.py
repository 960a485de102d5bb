"""Answers one question after the other with transformers alone: `python plain.py BASE THREADS TOKENS`.

Runs in the trainer's environment; questions come as a JSON list on stdin. Prints the tokens and the seconds.
"""

import json
import sys
import time


def main() -> None:
    base, threads, most_tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    questions = json.load(sys.stdin)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    tokens = 0
    began = time.monotonic()
    for question in questions:
        messages = [{"role": "user", "content": question}]
        asked = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        with torch.inference_mode():
            answer = model.generate(**asked, max_new_tokens=most_tokens, do_sample=False)
        tokens += answer.shape[1] - asked["input_ids"].shape[1]
    print(json.dumps({"tokens": tokens, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main()
