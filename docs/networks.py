"""The page networks.md: networks of other libraries, the cuts of each, how it was traced, and the seconds it took.

    python docs/networks.py [NAME ...]

Takes twenty minutes on one core and up to 8 GB, and needs timm (`pip install 'sweeper-stitching[timm]'`). If names are
given, their rows are printed and nothing is written.
"""

import gc
import sys
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import torch
import torchvision

from sweeper.errors import SweeperError
from sweeper.trials.networks.traced.check_cuts import check_cuts
from sweeper.trials.networks.traced.construct import make

PAGE = Path(__file__).parent / "networks.md"
CLASSES = 1000
# One of each of timm's families: convolutions, attention, both, neither.
TIMM = """
    beit_base_patch16_224 cait_xxs24_224 coat_tiny coatnet_0_rw_224 convmixer_768_32 convnextv2_atto crossvit_tiny_240
    cspdarknet53 davit_tiny deit3_small_patch16_224 dla34 edgenext_xx_small efficientformer_l1 eva02_tiny_patch14_224
    fastvit_t8 focalnet_tiny_srf ghostnet_100 halonet26t hgnet_tiny hrnet_w18_small inception_next_tiny inception_v4
    lambda_resnet26t levit_128 mambaout_femto maxvit_tiny_rw_224 mixer_s16_224 mobilenetv4_conv_small mobilevit_s
    nfnet_f0 pit_ti_224 poolformer_s12 pvt_v2_b0 regnety_002 repvgg_a0 res2net50_26w_4s resmlp_12_224 resnet18
    resnetv2_50 rexnet_100 selecsls42 sequencer2d_s seresnet50 skresnet18 starnet_s1 swinv2_tiny_window8_256
    tf_efficientnetv2_s tiny_vit_5m_224 tresnet_m twins_pcpvt_small vgg11_bn visformer_tiny vit_tiny_patch16_224
    volo_d1_224 vovnet39a xception41 xcit_nano_12_p16_224
""".split()  # noqa: SIM905 (a list of words)
SIDE = {"torchvision": 96, "timm": 224}
SIDES = {  # networks that take no other size
    "torchvision:maxvit_t": 224,
    "torchvision:vit_h_14": 98,
    "timm:crossvit_tiny_240": 240,
    "timm:halonet26t": 256,
    "timm:inception_v4": 299,
    "timm:lambda_resnet26t": 256,
    "timm:mobilevit_s": 256,
    "timm:swinv2_tiny_window8_256": 256,
}


def names() -> list[str]:
    """Return the names of every classification network of torchvision, and of the networks in `TIMM`."""
    in_torchvision = torchvision.models.list_models(module=torchvision.models)
    return [*(f"torchvision:{name}" for name in in_torchvision), *(f"timm:{name}" for name in TIMM)]


def row(name: str) -> str:
    """Return a row of the table: number of cuts, how the network was traced and seconds, or the reason for no cuts."""
    side = SIDES.get(name, SIDE[name.partition(":")[0]])
    image = (3, side, side)
    start = time.perf_counter()
    try:
        result = check_cuts(make(name, image, CLASSES), image)
    except SweeperError as error:
        return f"| `{name}` | - | {str(error).splitlines()[0]} | {time.perf_counter() - start:.1f} |"
    note = "traced" + "".join(f"; `{path}` kept whole" for path in result.untraceable)
    note += "" if result.exact else "; equal within 1e-5, not bit for bit"
    note += "" if result.card.cuts else "; at no place does one tensor carry everything"
    return f"| `{name}` | {len(result.card.cuts)} | {note} | {time.perf_counter() - start:.1f} |"


def page(rows: Iterable[str]) -> str:
    """Return the page with these rows of its table."""
    lines = list(rows)
    cut = sum(" | - | " not in line and " | 0 | " not in line for line in lines)
    return "\n".join(
        [
            "<!-- Written by docs/networks.py. -->",
            "",
            "# Networks of other libraries",
            "",
            "`sweeper cuts NAME` lists the places where a network can be cut. Of these "
            f"{len(lines)} networks, {cut} can be cut.",
            "A cut is counted if `top(bottom(x))` equals `model(x)` on random images in eval mode, bit for bit unless "
            "a row says",
            f"otherwise. Images have sides of {SIDE['torchvision']} (torchvision) or {SIDE['timm']} (timm) if the "
            f"network takes this size; there are {CLASSES}",
            "classes, and weights are random. Seconds are those of one core of a busy machine and include making the "
            "network.",
            f"Versions: torch {torch.__version__}, torchvision {torchvision.__version__}, timm {version('timm')}.",
            "",
            "| network | cuts | how | seconds |",
            "| --- | --- | --- | --- |",
            *lines,
            "",
        ]
    )


def rows(names_to_probe: Iterable[str]) -> Iterable[str]:
    """Yield the row of each network, and print it."""
    for name in names_to_probe:
        line = row(name)
        print(line, flush=True)
        yield line
        gc.collect()  # graphs and modules refer to each other, so only the collector frees them


def main() -> None:
    """Print the rows of the networks named on the command line, or write the page of all networks."""
    torch.set_num_threads(1)
    if chosen_names := sys.argv[1:]:
        list(rows(chosen_names))
    else:
        PAGE.write_text(page(rows(names())), encoding="utf-8")


if __name__ == "__main__":
    main()
