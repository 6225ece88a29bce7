"""Every type of the language in one place."""

from archspec.spec.attention import *  # noqa: F403
from archspec.spec.inputs import *  # noqa: F403
from archspec.spec.masks import *  # noqa: F403
from archspec.spec.mixers import *  # noqa: F403
from archspec.spec.mlp import *  # noqa: F403
from archspec.spec.norms import *  # noqa: F403
from archspec.spec.positions import *  # noqa: F403
from archspec.spec.steps import *  # noqa: F403
from archspec.spec.tree import *  # noqa: F403
