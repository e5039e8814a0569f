"""Category prototypes and videos in the plane, by t-SNE.

A video stands where CORE puts it among the prototypes: v = sum_c w_c E_c (docs/method.md).
"""

import numpy as np

PERPLEXITY = 30.0
MIN_POINTS = 5
MAX_EXACT_POINTS = 500
WHY_NOT = "t-SNE needs scikit-learn: pip install scikit-learn, then evaluate again"


def project(prototypes: np.ndarray, category_weights: np.ndarray) -> np.ndarray | None:
    """Places of C prototypes, then V videos: [C + V, 2], the same for the same input.

    prototypes: [C, H]; category_weights: [V, C]. None without scikit-learn, which is optional, or
    for fewer than 5 points. Distances inside a neighbourhood mean something, those across the plane
    do not.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        return None
    points = np.concatenate([prototypes, category_weights @ prototypes]).astype(np.float64)
    if len(points) < MIN_POINTS:
        return None
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    # The approximation of Barnes and Hut pays above some hundred points. Half of the default
    # iterations: what is left to gain cannot be seen.
    method = "exact" if len(points) <= MAX_EXACT_POINTS else "barnes_hut"
    tsne = TSNE(
        2, perplexity=perplexity, max_iter=500, init="random", random_state=0, method=method
    )
    return tsne.fit_transform(points)
