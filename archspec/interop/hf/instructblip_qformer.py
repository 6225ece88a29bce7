"""InstructBLIP's query former: queries beside a text, each with an MLP of its own; only queries look at the image.

Defaults: transformers 5.23 `models/instructblip/configuration_instructblip.py` InstructBlipQFormerConfig.
"""

from archspec.interop.hf import qformer

FAMILY = qformer.family("instructblip_qformer", "InstructBlipQFormerModel", text=True)
