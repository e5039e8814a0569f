"""Everything that decides the network's shape; refinevad_jax/config.py gives the reasons."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The fields of config.model, with what the data set decides: modality widths, categories."""

    modality_widths: tuple[int, ...]
    num_categories: int
    normalization: str = "modality"
    width: int = 512
    num_layers: int = 2
    num_heads: int = 4
    mlp_width: int = 1024
    dropout: float = 0.1
    shift: str = "adaptive"
    folding: int = 4
    injection: str = "soft"
    tau: float = 1.0
    attention_query: str = "video"
    scorer_width: int = 128
    category_input: str = "encoder"
    category_names: str = "learned"
    score_smoothing: float = 0.0
    score_centering: float = 0.0

    @property
    def num_channels(self) -> int:
        """D."""
        return sum(self.modality_widths)

    @property
    def has_core(self) -> bool:
        """Whether the network has CORE, and with it anything to say of categories."""
        return self.injection != "none"

    @property
    def is_linear(self) -> bool:
        """Whether a score is a linear function of the features, without MoTAR and CORE."""
        return not self.scorer_width

    @property
    def has_names(self) -> bool:
        """Whether its categories are sentence embeddings of their names."""
        return self.has_core and self.category_names == "sentences"
