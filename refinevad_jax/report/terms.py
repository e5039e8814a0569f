"""The words of the pages that a reader may not know, each explained once.

`pages/terms.html` has the macros that mark a term and list the explanations.
"""

TERMS = {
    "frame truth": "Which frames of a video are anomalous, as people annotated them.",
    "frame AUC": (
        "Area under the ROC curve over frames: the share of pairs of an anomalous and a normal "
        "frame in which the anomalous one has the higher score. 0.5 is guessing, 1 is perfect."
    ),
    "frame AP": (
        "Average precision over frames: precision, averaged over recall. Guessing gives the share "
        "of anomalous frames."
    ),
    "video AUC": "As frame AUC, but over whole videos: the video score against the label.",
    "video AP": "As frame AP, but over whole videos: the video score against the label.",
    "category accuracy": (
        "Share of the anomalous videos whose most probable category is among their labels."
    ),
    "95 % interval": (
        "Percentile bootstrap: whole videos are drawn 1,000 times with replacement. The spread "
        "between training seeds is not in it."
    ),
    "operating point": (
        "A threshold on the scores, and what it gives. It is set for a target rate of false "
        "alarms: the share of the frames of normal videos that may score at or above it."
    ),
    "false alarms": "Share of the frames of normal videos that score at or above the threshold.",
    "calibration": (
        "A monotone function of the scores, fitted on the selection split, after which a video "
        "score of 0.8 should mean that 8 of 10 such videos are anomalous. It never changes a "
        "ranking."
    ),
    "Brier score": (
        "Mean square of video score minus label (1 anomalous, 0 normal). 0 is perfect, always "
        "saying 0.5 gives 0.25."
    ),
    "event": (
        "A stretch of a video that stands out and reaches the threshold: what an alarm reports."
    ),
    "video score": (
        "Mean of the highest segment scores of a video, of as many as in training. It is not "
        "compared with the threshold; events are."
    ),
    "detected": (
        "An anomalous video with an event that overlaps an annotated stretch; with any event if "
        "its stretches are not annotated."
    ),
    "missed": "An anomalous video without such an event.",
    "false alarm": "A normal video with an event.",
    "quiet": "A normal video without an event, whatever its video score.",
    "error": (
        "Highest score (normal videos), or 1 minus the highest score inside the annotated "
        "intervals (anomalous videos). From 0 to 1 for scores from 0 to 1."
    ),
    "own frame AUC": "Frame AUC inside this one video; only if it has frames of both classes.",
    "shift ratio": (
        "Output of MoTAR's gate, from 0 to 1: the share of feature channels that a segment "
        "exchanges with its neighbours."
    ),
    "log-odds": (
        "The scale ln(s / (1 - s)) of a score s. It shows differences among scores close to 0 or "
        "1. Scores are drawn within 0.000001 of the ends."
    ),
    "segment": "The frames that share one score.",
    "truth hash": (
        "SHA-256 of the names, lengths and annotated stretches of all videos with frame truth. "
        "Two numbers compare only if it is the same."
    ),
    "mAP@IoU": (
        "Mean average precision of events: an event counts as right if its intersection over "
        "union (IoU) with an annotated stretch of its category reaches the threshold."
    ),
    "published rule": (
        "Events as in the published evaluators: one threshold relative to the range of a video's "
        "scores."
    ),
    "our proposals": (
        "Events from several thresholds; those that stand out from their surroundings stay."
    ),
    "legacy": (
        "The published evaluator, bit for bit. Its mean includes the normal column, which never "
        "has truth on UCF-Crime: a perfect detector gets 92.857 % there, and 82.09 % on XD- "
        "Violence."
    ),
    "legacy_exclude_normal": (
        "The published evaluator with excludeNormal=True: the normal column is left out of the "
        "mean."
    ),
    "anomaly": (
        "The mean over the anomalous categories that have truth. Detections in normal videos "
        "count as wrong."
    ),
    "anomaly_on_anomalous_videos": (
        "As anomaly, but detections in normal videos do not count, so the numbers are higher."
    ),
    "anomaly_interpolated": "As anomaly, with the interpolated average precision of ActivityNet.",
    "class_agnostic": (
        "Localisation only: all anomalies are one category, whatever they are called."
    ),
    "prototype": "The vector that CORE learns for a category.",
    "PCA": (
        "Principal component analysis: the flat view of the vectors that keeps the most of their "
        "variance. Distances in it are those of the vectors, less what the view leaves out."
    ),
}
