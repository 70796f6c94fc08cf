"""LoRA merged by csm beside PEFT's own merge: logits and tokens of a small checkpoint with a random adapter.

    pip install -r ../goldens/requirements.txt peft
    python3 peft_merge.py CSM CHECKPOINT     # the program; a small checkpoint in transformers' layout
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import CsmForConditionalGeneration

TARGETS = r".*(backbone_model|depth_decoder).*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


def logits(csm, work, *model):
    out = work / "logits.safetensors"
    subprocess.run([csm, "generate", *map(str, model), "--text", "Hello there.", "--sampling", "exact", "--temperature", "0",
                    "--max-audio-length-ms", "1600", "--dump-logits", out, "--output", work / "x.wav"],
                   check=True, capture_output=True)
    return load_file(out)["logits"]


def main():
    csm, base = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    failed = False
    for name, options in [("LoRA", {}), ("rsLoRA", {"use_rslora": True}), ("DoRA", {"use_dora": True})]:
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            torch.manual_seed(0)
            model = CsmForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
            model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, **options))
            for parameter, values in model.named_parameters():
                if "lora_B" in parameter:
                    values.data.normal_(0, 0.05)
            model.save_pretrained(work / "adapter")
            merged = model.merge_and_unload()
            merged.save_pretrained(work / "merged")
            for file in ["tokenizer.json", "generation_config.json"]:
                if not (work / "merged" / file).exists():
                    (work / "merged" / file).write_bytes((base / file).read_bytes())
            ours = logits(csm, work, "--model-path", base, "--adapter", work / "adapter")
            theirs = logits(csm, work, "--model-path", work / "merged")
            plain = logits(csm, work, "--model-path", base)
            same = ours.shape == theirs.shape and bool((ours.argmax(-1) == theirs.argmax(-1)).all())
            difference = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else float("nan")
            moved = plain.shape != theirs.shape or float((plain - theirs).abs().max()) > 1e-2
            failed |= not (same and difference < 1e-3 and moved)
            print(f"{name}: largest difference of {ours.numel()} logits {difference:.1e}; tokens "
                  f"{'the same' if same else 'differ'}; the adapter {'changes them' if moved else 'changes nothing'}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
