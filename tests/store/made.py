"""Records for the store's tests."""

from store.records import Environment, Metric, Move, Rejection, Study, Trial, Variant

HERE = Environment("0.1.0", "3.11.0", "test", {"numpy": "2"})


def study(name: str = "first", **changes: object) -> Study:
    fields: dict = {
        "name": name,
        "seed": 7,
        "context": 4096,
        "batch": 1,
        "device": "rtx-4090",
        "budget_bytes": 24_000_000_000,
        "settings": {"space": "{}"},
    }
    return Study(**{**fields, **changes})


def feasible(number: int, quality: float, memory: int, speed: float, key: str = "", parameters: int = 10) -> Trial:
    key = key or f"{number:04d}"
    variant = Variant(f"h{key}", f"v{key}", '{"archspec":1}', parameters, parameters, parameters - 1)
    about = {"hash": variant.hash, "variant": variant.variant}
    return Trial(
        number=number,
        state="feasible",
        phase="uniform",
        seed=number * 2**40,
        proposed={"d_model": 64, "ffn": "gated"},
        repairs=(Move("d_model", 128, 64),),
        variant=variant,
        metrics=(
            Metric(name="quality", value=quality, unit="1", fidelity="prior", sigma=0.1, **about),
            Metric(
                name="memory", value=memory, unit="byte", fidelity="exact", device="rtx-4090", context=4096, **about
            ),
            Metric(
                name="decode_speed",
                value=speed,
                unit="token/s",
                fidelity="roofline",
                detail={"bound": "memory"},
                **about,
            ),
        ),
    )


def rejected(number: int) -> Trial:
    why = Rejection("budget", "needs 30 GB, 24 GB allowed", "weights", 30_000_000_000)
    return Trial(number, "rejected", "uniform", number, {"d_model": 9}, rejection=why)
