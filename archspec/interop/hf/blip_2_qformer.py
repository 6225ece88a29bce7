"""BLIP-2's query former: queries alone.

Defaults: transformers 5.23 `models/blip_2/configuration_blip_2.py` Blip2QFormerConfig. Without a text, nothing reads
the sizes of its vocabulary and of its table of positions.
"""

from archspec.interop.hf import qformer

FAMILY = qformer.family("blip_2_qformer", "Blip2QFormerModel", text=False)
