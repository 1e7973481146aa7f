"""Examples under the help of every command. A test parses all of them, and runs most."""

from __future__ import annotations

from typing import Any

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "memegen animate photo.jpg --recipe smile",
        "memegen batch photos/ --recipe smile,wink -o out/",
        "memegen transfer photo.jpg clip.mp4",
    ),
    "animate": (
        "memegen animate photo.jpg --recipe wink -o wink.mp4",
        'memegen animate photo.jpg --au "AU1=4,AU2=4,AU26=5" --max-size 500kB',
        'memegen animate photo.jpg --top "when the code" --bottom "compiles"',
        "memegen animate photo.jpg --recipe laugh --for discord-sticker --dry-run",
        "memegen animate friends.jpg clip.mp4 --recipe grin -o out/",
    ),
    "batch": (
        "memegen batch photos/ --recipe smile,wink -o out/",
        "memegen batch photos/ --for whatsapp-sticker -o stickers/ --dry-run",
        "memegen batch jobs.yaml --report sheet.html",
        'memegen batch photos/ -r laugh -o "out/{stem}_{number:03d}.{ext}"',
    ),
    "transfer": (
        "memegen transfer photo.jpg clip.mp4",
        "memegen transfer photo.jpg grin.jpg -o grin.gif",
        "memegen transfer photo.jpg clip.mp4 --only mouth,eyes --boomerang -o a.gif",
    ),
    "preview": (
        "memegen preview photo.jpg --recipe smile",
        'memegen preview photo.jpg --au "AU12=4" --frames 3',
        "memegen preview meme.gif",
    ),
    "studio": ("memegen studio", "memegen studio photo.jpg --no-open --port 8080"),
    "serve": (
        "memegen serve",
        "memegen serve --host 0.0.0.0 --token secret --queue 64 --verbose",
    ),
    "aus": ("memegen aus photo.jpg", "memegen aus --list", "memegen aus clip.mp4 --csv clip.csv"),
    "faces": ("memegen faces friends.jpg", "memegen faces friends.jpg --json"),
    "inspect": ("memegen inspect meme.gif", "memegen inspect meme.gif sticker.webp --json"),
    "label": ("memegen label photos/ -o labels.csv",),
    "config": ("memegen config", "memegen config animate", "memegen config --json"),
    "doctor": ("memegen doctor",),
    "recipes list": ("memegen recipes list",),
    "recipes show": ("memegen recipes show smile > mine.yaml",),
    "recipes check": ("memegen recipes check mine.yaml",),
    "recipes new": ("memegen recipes new another",),
    "weights list": ("memegen weights list", "memegen weights list --json"),
    "weights info": ("memegen weights info anatomical", "memegen weights info run/"),
    "weights import": ("memegen weights import checkpoint.pth -o old.safetensors",),
    "weights mix": ("memegen weights mix run1/=2 run2/ -o mixed.safetensors",),
    "weights compress": ("memegen weights compress run/ -o small.safetensors",),
    "weights export": ("memegen weights export anatomical --format onnx",),
    "evaluate pairs": ("memegen evaluate pairs shards/ --sheet pairs.png",),
    "evaluate au-response": ("memegen evaluate au-response photos/ --faces 20",),
    "evaluate training-pairs": ("memegen evaluate training-pairs shards/ --count 50",),
    "evaluate table": ("memegen evaluate table shards/ --model mesh,anatomical --table models.md",),
    "evaluate transfer": ("memegen evaluate transfer photos/ clips/ --stages",),
    "evaluate clips": ("memegen evaluate clips clips/ --model mesh --model anatomical",),
    "evaluate perception": ("memegen evaluate perception shards/ --json",),
    "evaluate sheet": ("memegen evaluate sheet photos/ --sheet sheet.png",),
    "train": (
        "memegen train photos/ --out anna",
        "memegen animate anna.jpg --model anna",
    ),
}
ACCEPTABLE_USE = (
    "Animate faces of people who agree to it, and say that it is animated; files say so themselves "
    "(memegen inspect FILE). No deception, no harassment, no sexual pictures of people who did not "
    "ask for them (docs/acceptable-use.md)."
)


def epilog(*path: str) -> str | None:
    """What stands under the help of a command; None where there is nothing."""
    lines = EXAMPLES.get(" ".join(path), ())
    if not lines:
        return None
    text = "\n".join(["Examples:", *(f"  {line}" for line in lines)])
    return text if path else f"{text}\n\n{ACCEPTABLE_USE}"


def add_examples(app: Any, *path: str) -> None:
    """Put examples under the help of all commands of a Typer, and of those below it."""
    for command in app.registered_commands:
        command.epilog = epilog(*path, command.name or command.callback.__name__.rstrip("_"))
    for group in app.registered_groups:
        group.epilog = epilog(*path, group.name)
        add_examples(group.typer_instance, *path, group.name)
